from collections import Counter
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from omegaconf import OmegaConf

from densitylab.config import conf_dir
from densitylab.structures import StructureError, electrons
from densitylab.structures.dna_cuts import CAPPED_BONDS, KINDS, STEPS, cut, label
from densitylab.structures.dna_dynamics import with_hydrogens
from densitylab.structures.dna_fibre import fibre, partner
from densitylab.structures.dna_fragments import _check_supply, _draw, _places, thermal_fragments
from tests.structures.test_dna import QUICK

SEQUENCES = ["GAACATAC", "CAGCCGAG"]  # of the shipped sets: away from the ends, each of the ten steps once
FORMULAE = {  # textbook; nucleotides and phosphates as anions
    "base:A": "C5H5N5", "base:C": "C4H5N3O", "base:G": "C5H5N5O", "base:T": "C5H6N2O2",
    "nucleoside:A": "C10H13N5O3", "nucleoside:C": "C9H13N3O4", "nucleoside:G": "C10H13N5O4",
    "nucleoside:T": "C10H14N2O5",
    "nucleotide:A": "C10H13N5O6P", "nucleotide:C": "C9H13N3O7P", "nucleotide:G": "C10H13N5O7P",
    "nucleotide:T": "C10H14N2O8P", "phosphate": "C2H6O4P",
    "pair:AT": "C10H11N7O2", "pair:GC": "C9H10N8O2", "stack:CA": "C9H10N8O", "stack:TT": "C10H12N4O4",
    "stacked_pairs:AT": "C20H22N14O4", "stacked_pairs:CG": "C18H20N16O4",
    "dinucleotide:AC": "C19H24N8O9P",  # dA C10H13N5O3 + dCMP- C9H13N3O7P - water
}  # fmt: skip
SMILES = {  # PubChem
    "base:A": "Nc1ncnc2[nH]cnc12", "base:C": "Nc1cc[nH]c(=O)n1", "base:G": "Nc1nc2[nH]cnc2c(=O)[nH]1",
    "base:T": "Cc1c[nH]c(=O)[nH]c1=O", "phosphate": "COP(=O)([O-])OC",
    "nucleoside:C": "Nc1ccn([C@H]2C[C@H](O)[C@@H](CO)O2)c(=O)n1",
    "nucleotide:A": "Nc1ncnc2c1ncn2[C@H]1C[C@H](O)[C@@H](COP(=O)([O-])O)O1",
    "pair:AT": "Cc1c[nH]c(=O)[nH]c1=O.Nc1ncnc2[nH]cnc12",
}  # fmt: skip
VALENCES = {1: {1}, 6: {3, 4}, 7: {2, 3}, 8: {1, 2}, 15: {4}}  # numbers of neighbours
EVERYTHING = dict.fromkeys(KINDS, 4) | {"stack": 8, "step": 5}


@pytest.fixture(scope="module")
def fragments():
    return thermal_fragments(SEQUENCES, EVERYTHING, snapshots=1, seed=3, **QUICK)


@pytest.fixture(scope="module")
def ideal():
    return with_hydrogens(*fibre(SEQUENCES[0]))


@pytest.fixture(scope="module")
def ideal_cuts() -> dict[str, Atoms]:
    """One fragment of every label that the two duplexes have."""
    found = {}
    for sequence in SEQUENCES:
        duplex = with_hydrogens(*fibre(sequence))
        for strand, letters in enumerate((sequence, partner(sequence))):
            for kind, place in product(KINDS, range(len(sequence))):
                if name := label(kind, letters, place):
                    found[name] = cut(*duplex, kind, strand, place, "group")
    return found


def neighbours(atoms) -> np.ndarray:
    """(A, A): which are bonded: closer than 1.25 times the sum of their covalent radii."""
    radii = covalent_radii[atoms.numbers]
    return (atoms.get_all_distances() < 1.25 * (radii[:, None] + radii)) & ~np.eye(len(atoms), dtype=bool)


# --------------------------------------------------------------------------------------------------------- chemistry


@pytest.mark.parametrize("name", FORMULAE)
def test_formulae(ideal_cuts, name):
    found = ideal_cuts[name].symbols.formula.count()
    assert found == Atoms(FORMULAE[name]).symbols.formula.count()


def test_charges_and_electrons(fragments):
    """Charge -1 per phosphate; a nucleobase pair has 136 electrons, a step 580 (Lee 2022), all of them in pairs."""
    per_kind = {"pair": 136, "stacked_pairs": 272, "step": 580, "phosphate": 66}
    for atoms in fragments:
        kind = atoms.info["fragment"].split(":")[0]
        charge = {"nucleotide": -1, "phosphate": -1, "dinucleotide": -1, "step": -2}.get(kind, 0)
        assert (atoms.info["charge"], atoms.info["multiplicity"]) == (charge, 1)
        assert electrons(atoms) % 2 == 0
        assert electrons(atoms) == per_kind.get(kind, electrons(atoms))


def test_every_atom_has_its_neighbours(fragments):
    for atoms in fragments:
        bonded = neighbours(atoms).sum(axis=1)
        assert all(count in VALENCES[number] for number, count in zip(atoms.numbers, bonded, strict=True)), atoms.info


def test_number_of_molecules(fragments):
    """Cut at single bonds of the right kind, every fragment is one molecule per piece that hangs together."""
    from scipy.sparse.csgraph import connected_components

    expected = {"pair": 2, "stack": 2, "stacked_pairs": 4, "step": 2}
    for atoms in fragments:
        kind = atoms.info["fragment"].split(":")[0]
        assert connected_components(neighbours(atoms))[0] == expected.get(kind, 1)


def test_no_two_atoms_are_too_close(fragments):
    """Å: the shortest bond, O-H, is 0.96 and vibrates by 0.1; no two hydrogens come closer than in CH2, 1.8 ± 0.3."""
    for atoms in fragments:
        distances = atoms.get_all_distances() + 9 * np.eye(len(atoms))
        hydrogens = atoms.numbers == 1
        assert distances.min() > 0.85
        assert distances[np.ix_(hydrogens, hydrogens)].min() > 1.4


def test_rdkit_finds_the_molecules(fragments):
    """Bonds, bond orders, protonation and stereochemistry from positions and charge alone."""
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem import rdDetermineBonds

    seen = set()
    for atoms in fragments:
        name = atoms.info["fragment"]
        if name not in SMILES:
            continue
        rows = "\n".join(f"{s} {x} {y} {z}" for s, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True))
        molecule = chem.MolFromXYZBlock(f"{len(atoms)}\n\n{rows}")
        rdDetermineBonds.DetermineBonds(molecule, charge=atoms.info["charge"])
        molecule = chem.RemoveHs(molecule)
        for phosphorus in molecule.GetAtoms():
            if phosphorus.GetSymbol() == "P":  # which of two equal oxygens bears the charge is a matter of drawing
                phosphorus.SetChiralTag(chem.ChiralType.CHI_UNSPECIFIED)
        assert chem.CanonSmiles(chem.MolToSmiles(molecule)) == chem.CanonSmiles(SMILES[name])
        seen.add(name)
    assert seen == set(SMILES)


# -------------------------------------------------------------------------------------------------------------- caps


@pytest.mark.parametrize("kind", KINDS)
def test_caps_replace_the_atoms_beyond_named_bonds(ideal, kind):
    """What is not an atom of the duplex is a hydrogen on a cut bond, in its direction, at its length."""
    topology, positions = ideal
    atoms = cut(topology, positions, kind, 0, 3, "group")
    kept = [i for i, p in enumerate(atoms.positions) if np.abs(positions - p).sum(axis=1).min() < 1e-9]
    caps = sorted(set(range(len(atoms))) - set(kept))
    assert caps
    assert set(atoms.symbols[caps]) == {"H"}
    places = {tuple(np.round(p, 6)) for p in atoms.positions[kept]}
    broken = {}
    for one, two in topology.bonds():
        inside = [tuple(np.round(positions[atom.index], 6)) in places for atom in (one, two)]
        if inside[0] != inside[1]:
            stays, goes = (one, two) if inside[0] else (two, one)
            broken[(stays.name, goes.name)] = (positions[stays.index], positions[goes.index])
            length = CAPPED_BONDS[stays.name, goes.name]
            along = (positions[goes.index] - positions[stays.index]) / np.linalg.norm(
                positions[goes.index] - positions[stays.index]
            )
            expected = positions[stays.index] + length * along
            assert np.abs(atoms.positions[caps] - expected).sum(axis=1).min() < 1e-9
    assert len(broken) >= 1


def test_no_other_bond_is_cut(ideal, monkeypatch):
    from densitylab.structures import dna_cuts

    monkeypatch.setitem(dna_cuts.KINDS, "sugar", (dna_cuts.Piece(0, ("sugar",)),))  # would leave N9 without C1'
    with pytest.raises(ValueError, match="the bond C1'-N9 is not one that is cut"):
        cut(*ideal, "sugar", 0, 2, "group")


# -------------------------------------------------------------------------------------------------------------- names


def test_labels_of_a_strand():
    assert [label("base", "GACC", place) for place in range(4)] == [None, "base:A", "base:C", None]
    assert [label("pair", "GACC", place) for place in range(4)] == [None, "pair:AT", None, None]
    assert [label("stack", "GACC", place) for place in range(4)] == [None, "stack:AC", None, None]
    assert label("step", "GACC", 1) is None  # AC is called GT, along the other strand
    assert label("step", "GGTC", 1) == "step:GT"
    assert label("phosphate", "GACC", 1) is None  # its O3' is that of an end
    assert label("phosphate", "GACC", 2) == "phosphate"


def test_the_ten_steps_are_all_there_are():
    complement = str.maketrans("ACGT", "TGCA")
    both = {frozenset((step, step.translate(complement)[::-1])) for step in STEPS}
    assert len(both) == 10
    assert len(set().union(*both)) == 16


def test_a_step_has_both_strands_of_its_letters(ideal_cuts):
    """CA: cytosine, adenine, and across them thymine and guanine."""
    atoms = ideal_cuts["step:CA"]
    reference = Counter()
    for name in ("nucleoside:C", "nucleotide:A", "nucleoside:T", "nucleotide:G"):
        reference.update(Atoms(FORMULAE[name]).symbols.formula.count())
    reference.subtract({"H": 4, "O": 2})  # two waters
    assert Counter(atoms.symbols.formula.count()) == reference


# ---------------------------------------------------------------------------------------------------------- sampling


def test_numbers_and_groups(fragments):
    kinds = Counter((atoms.info["group"], atoms.info["fragment"].split(":")[0]) for atoms in fragments)
    groups = [f"dna-300K-{sequence}-{seed}" for seed, sequence in enumerate(SEQUENCES, start=3)]
    assert kinds == {(group, kind): wanted for group in groups for kind, wanted in EVERYTHING.items()}


def test_the_rarest_comes_next(fragments):
    names = Counter(atoms.info["fragment"] for atoms in fragments)
    assert {names[f"step:{step}"] for step in STEPS} == {1}
    assert {names[f"base:{letter}"] for letter in "ACGT"} == {2}
    assert {names[f"stack:{one}{two}"] for one in "ACGT" for two in "ACGT"} == {1}


def test_same_seed_same_fragments_another_seed_others():
    first, again, other = (
        thermal_fragments(["GACA"], {"base": 3, "pair": 1}, snapshots=2, seed=seed, **QUICK) for seed in (3, 3, 4)
    )
    for a, b in zip(first, again, strict=True):
        assert a.info == b.info
        assert np.abs(a.positions - b.positions).max() < 1e-3  # Å: rounding, grown for 40 steps
    for a, b in product(first, other):
        assert len(a) != len(b) or np.abs(a.positions - b.positions).max() > 1e-2


def test_kinds_of_the_user():
    with pytest.raises(StructureError, match="no fragment is called 'nucleosid', did you mean nucleoside"):
        thermal_fragments(["GAC"], {"nucleosid": 1})
    with pytest.raises(StructureError, match="4 snapshots of GAAC hold 8 fragments of kind 'stack' away from the ends"):
        thermal_fragments(["GAAC"], {"stack": 9})
    with pytest.raises(StructureError, match="letter 'N' at position 3"):
        thermal_fragments(["GANC"], {"base": 1})


@pytest.mark.parametrize(
    ("name", "number", "largest"), [("dna_fragments", 56, 36), ("dna_fragments_large", 8, 65), ("dna_steps", 4000, 126)]
)
def test_shipped_sets_are_balanced(ideal_cuts, name, number, largest):
    """Without their dynamics: as many as said, every label of a kind equally often or nearly so, none too large."""
    recipe = OmegaConf.load(conf_dir() / "structures" / f"{name}.yaml")
    assert set(recipe.sequences) == set(SEQUENCES)
    rng, drawn = np.random.default_rng(0), Counter()
    for sequence in list(recipe.sequences) * recipe.trajectories:
        _check_supply(sequence, recipe.kinds, recipe.snapshots)
        for kind, wanted in recipe.kinds.items():
            _draw(_places(sequence, kind, recipe.snapshots), wanted, drawn, rng)
    assert drawn.total() == number
    assert set(recipe.kinds) == set(KINDS)
    for kind in (kind for kind, wanted in recipe.kinds.items() if wanted):
        counts = [count for name, count in drawn.items() if name.split(":")[0] == kind]
        assert max(counts) - min(counts) <= 1
    assert max(len(ideal_cuts[name]) for name in drawn) <= largest
