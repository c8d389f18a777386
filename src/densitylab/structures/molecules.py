"""Molecules by name, SMILES or file, as they are or in thermal motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ase import Atoms

from densitylab.errors import did_you_mean
from densitylab.structures.check import StructureError, prepare
from densitylab.structures.files import from_files
from densitylab.structures.smiles import from_smiles
from densitylab.structures.thermal import thermal_set

SMILES = {  # common names; other molecules have names of their own in ASE's collections
    "acetaldehyde": "CC=O", "acetic acid": "CC(=O)O", "acetone": "CC(=O)C", "ammonia": "N", "aniline": "Nc1ccccc1",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O", "azobenzene": r"c1ccccc1/N=N/c1ccccc1", "benzene": "c1ccccc1",
    "butadiene": "C=CC=C", "ethane": "CC", "ethanethiol": "CCS", "ethanol": "CCO", "ethylene": "C=C",
    "formaldehyde": "C=O", "formamide": "NC=O", "formic acid": "OC=O", "furan": "c1ccoc1", "glycine": "NCC(=O)O",
    "imidazole": "c1cnc[nH]1", "malonaldehyde": r"O/C=C\C=O", "methane": "C", "methanethiol": "CS",
    "methanol": "CO", "naphthalene": "c1ccc2ccccc2c1", "paracetamol": "CC(=O)Nc1ccc(O)cc1", "phenol": "Oc1ccccc1",
    "pyridine": "c1ccncc1", "pyrrole": "c1cc[nH]c1", "resorcinol": "Oc1cccc(O)c1", "salicylic acid": "OC(=O)c1ccccc1O",
    "thiophene": "c1ccsc1", "toluene": "Cc1ccccc1", "uracil": "O=c1cc[nH]c(=O)[nH]1", "urea": "NC(=O)N", "water": "O",
}  # fmt: skip


def molecule(
    name: str | None = None,
    smiles: str | None = None,
    path: str | None = None,
    charge: int | None = None,
    multiplicity: int | None = None,
    number: int = 1,
    snapshots: int = 10,
    temperatures_K: list[float] | None = None,
    interval_fs: float = 100.0,
    equilibration_ps: float = 0.5,
    seed: int = 0,
) -> list[Atoms]:
    """One molecule, ``number`` times: conformers, or thermal snapshots at ``temperatures_K``.

    Parameters
    ----------
    name: of the table ``SMILES`` above, or of ASE's collections g2 (``CH3CH2OH``) and s22 (``Water_dimer``).
    smiles: a SMILES string, in place of a name.
    path: a file, of which the first frame is taken, in place of a name.
    charge, multiplicity: win over what the SMILES, the collection or the file says.
    number, snapshots, temperatures_K, interval_fs, equilibration_ps, seed:
        see :func:`~densitylab.structures.thermal.thermal_set`.

    Raises
    ------
    StructureError
        None or several of name, SMILES and path, an unknown name, an invalid SMILES, an unreadable file, and what
        ``thermal_set`` refuses.
    """
    given = [value for value in (name, smiles, path) if value]
    if len(given) != 1:
        raise StructureError(f"a molecule takes one of name, smiles and path; {len(given)} are set")
    title, start = _source(name, smiles, path)

    def prepared(own_seed: int) -> Atoms:
        return prepare(start(own_seed), charge=charge, multiplicity=multiplicity)

    return thermal_set(prepared, title, number, snapshots, temperatures_K, interval_fs, equilibration_ps, seed)


def _source(name: str | None, smiles: str | None, path: str | None) -> tuple[str, Callable[[int], Atoms]]:
    """Title for the groups, and what makes the start of a trajectory from its seed."""
    if path:
        return Path(path).stem, lambda seed: from_files(path)[0]
    if name and name.lower() not in SMILES:
        return name, lambda seed: from_collection(name)
    known = smiles or SMILES[str(name).lower()]
    title = str(name).lower().replace(" ", "_") if name else from_smiles(known).get_chemical_formula()
    return title, lambda seed: from_smiles(known, seed)


def from_collection(name: str) -> Atoms:
    """A structure of ASE's collections g2 (small molecules and radicals) or s22 (dimers), in Å.

    Raises
    ------
    StructureError
        An unknown name, with the closest one that is known.
    """
    from ase.collections import g2, s22

    for collection in (g2, s22):
        if name in collection.names:
            atoms = collection[name]
            unpaired = round(abs(atoms.get_initial_magnetic_moments().sum()))
            return prepare(Atoms(atoms.numbers, atoms.positions), multiplicity=unpaired + 1 if unpaired else None)
    known = did_you_mean(name, [*SMILES, *g2.names, *s22.names])
    where = "known are common names, ASE's g2 and s22, and anything as SMILES (structures.smiles=…)"
    raise StructureError(f"no molecule is called {name}{known or f'; {where}'}")
