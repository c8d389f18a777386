import sys

import pytest
from ase.build import molecule as ase_molecule

from densitylab.structures import StructureError
from densitylab.structures.bonds import molecules
from densitylab.structures.files import extended_xyz
from densitylab.structures.molecules import SMILES, molecule
from densitylab.structures.smiles import from_smiles

FORMULAS = {  # Hill order, from any table of compounds
    "ethanol": "C2H6O", "ethanethiol": "C2H6S", "resorcinol": "C6H6O2", "thiophene": "C4H4S", "benzene": "C6H6",
    "malonaldehyde": "C3H4O2", "aspirin": "C9H8O4", "azobenzene": "C12H10N2", "uracil": "C4H4N2O2",
    "paracetamol": "C8H9NO2", "salicylic acid": "C7H6O3", "naphthalene": "C10H8", "toluene": "C7H8", "urea": "CH4N2O",
    "imidazole": "C3H4N2", "glycine": "C2H5NO2", "water": "H2O",
}  # fmt: skip


@pytest.mark.parametrize(("name", "formula"), FORMULAS.items())
def test_common_names(name, formula):
    (atoms,) = molecule(name=name)
    assert atoms.get_chemical_formula() == formula
    assert atoms.info["group"] == f"{name.replace(' ', '_')}-0"


@pytest.mark.parametrize("name", SMILES)
def test_every_name_is_one_neutral_closed_shell_molecule(name):
    atoms = from_smiles(SMILES[name])
    assert (atoms.info["charge"], atoms.info["multiplicity"]) == (0, 1)
    assert molecules(atoms).max() == 0


def test_malonaldehyde_is_the_enol_with_its_hydrogen_bond():
    (atoms,) = molecule(name="malonaldehyde")
    oxygens = [i for i, symbol in enumerate(atoms.symbols) if symbol == "O"]
    assert atoms.get_distance(*oxygens) < 3.0  # Å; the trans form has more than 4


@pytest.mark.parametrize(
    ("options", "formula", "charge", "multiplicity"),
    [
        ({"name": "Ethanol"}, "C2H6O", 0, 1),
        ({"name": "CH3CH2OH"}, "C2H6O", 0, 1),  # g2
        ({"name": "O2"}, "O2", 0, 3),
        ({"name": "NO"}, "NO", 0, 2),
        ({"name": "Water_dimer"}, "H4O2", 0, 1),  # s22
        ({"smiles": "CO"}, "CH4O", 0, 1),
        ({"name": "CO"}, "CO", 0, 1),  # a name is not a SMILES
        ({"smiles": "[NH4+]"}, "H4N", 1, 1),
        ({"smiles": "CC(=O)[O-]"}, "C2H3O2", -1, 1),
        ({"smiles": "[CH3]"}, "CH3", 0, 2),
        ({"smiles": "[CH2]", "multiplicity": 1}, "CH2", 0, 1),
        ({"name": "benzene", "charge": 1}, "C6H6", 1, 2),
    ],
)
def test_charge_and_spin(options, formula, charge, multiplicity):
    if "charge" in options:
        options = {**options, "multiplicity": multiplicity}
    (atoms,) = molecule(**options)
    assert atoms.get_chemical_formula() == formula
    assert (atoms.info["charge"], atoms.info["multiplicity"]) == (charge, multiplicity)


def test_from_a_file(tmp_path):
    file = tmp_path / "mine.xyz"
    file.write_bytes(extended_xyz([ase_molecule("H2O"), ase_molecule("C6H6")]))
    found = molecule(path=str(file), number=2, snapshots=1, temperatures_K=[300.0], interval_fs=2, equilibration_ps=0)
    assert [atoms.get_chemical_formula() for atoms in found] == ["H2O", "H2O"]
    assert [atoms.info["group"] for atoms in found] == ["mine-300K-0", "mine-300K-1"]


def test_seeds_find_conformers():
    """n-Heptane has dozens; and the same seed finds the same one."""
    first, second = (molecule(smiles="CCCCCCC", number=2, seed=seed) for seed in (0, 1))
    assert (first[1].positions == second[0].positions).all()
    assert abs(first[0].get_distance(0, 6) - first[1].get_distance(0, 6)) > 0.01


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "ethanole"}, "no molecule is called ethanole, did you mean ethanol?"),
        ({"name": "Watr_dimer"}, "no molecule is called Watr_dimer, did you mean Water_dimer?"),
        (
            {"name": "xyzzy"},
            "no molecule is called xyzzy; known are common names, ASE's g2 and s22, and anything as SMILES",
        ),
        ({"smiles": "C1CC"}, "'C1CC' is not a valid SMILES string"),
        ({"smiles": "C(C)(C)(C)(C)C"}, "is not a valid SMILES string"),
        ({"smiles": "not one"}, "'not one' is not a valid SMILES string"),
        ({"smiles": "O.O"}, "'O.O' is more than one molecule"),
        ({"smiles": "C*"}, "is not a valid SMILES string of known elements"),
        ({"path": "none.xyz"}, "none.xyz: no such file"),
        ({}, "a molecule takes one of name, smiles and path; 0 are set"),
        ({"name": "water", "smiles": "O"}, "a molecule takes one of name, smiles and path; 2 are set"),
        ({"name": "benzene", "charge": 1, "multiplicity": 1}, "multiplicity 1 is impossible"),
        ({"name": "benzene", "number": 2}, "benzene has no 2 different conformers"),
        ({"name": "water", "number": 0}, "number must be between 1 and 1e[+]06, not 0"),
        ({"name": "water", "temperatures_K": [-300.0]}, "temperature_K must be between 1 and 5000, not -300"),
    ],
)
def test_mistakes(options, sentence, capfd):
    with pytest.raises(StructureError, match=sentence.replace("?", r"\?")):
        molecule(**options)
    assert capfd.readouterr().err == ""  # RDKit has nothing to add


def test_rdkit_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    with pytest.raises(StructureError, match=r"rdkit is needed here .* pip install 'densitylab\[molecules\]'"):
        molecule(name="ethanol")
    assert molecule(name="CH3CH2OH")  # ASE's collections need no RDKit
