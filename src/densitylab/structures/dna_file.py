"""DNA from a PDB or mmCIF file, with the hydrogens that X-rays do not see."""

from __future__ import annotations

import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from densitylab.structures.check import StructureError
from densitylab.structures.dna_dynamics import dna_atoms, with_hydrogens

_NUCLEOTIDES = ("DA", "DC", "DG", "DT")
_PHOSPHATE = ("P", "OP1", "OP2", "OP3")
_LONGEST_BOND_ANGSTROM = 2.2  # O3'-P is 1.6 Å; in poor crystal structures 2 Å


def from_file(path: str, dna_only: bool = False, group: str | None = None) -> list[Atoms]:
    """The DNA of the first model of a .pdb or .cif file, in Å: one structure, charge −1 per phosphate, singlet.

    Missing hydrogens are added (heavy atoms and hydrogens of the file stay where they are). Water, ions, a phosphate
    on a 5' end (the force field has 5'-OH) and the unit cell are left out, each with a warning: positions of water
    and ions in a crystal are partly occupied, have no hydrogens and leave the charge of the whole open.
    ``dna_only`` leaves out everything else that is not DNA too, such as proteins.

    Raises
    ------
    StructureError
        The file is missing or unreadable, holds no DNA, holds something else and ``dna_only`` is false, lacks heavy
        atoms, or has a strand with a gap; the message names the file and the first nucleotide concerned.
    """
    if not Path(path).is_file():
        raise StructureError(f"{path}: no such file")
    try:
        topology, positions = with_hydrogens(*_heavy_atoms(path, dna_only))
    except StructureError as error:
        raise StructureError(f"{path}: {error}") from None
    return [dna_atoms(topology, positions, group=group or Path(path).stem)]


def _heavy_atoms(path: str, dna_only: bool) -> tuple[Any, np.ndarray]:
    """Topology and (A, 3) positions in Å of the DNA, complete but for hydrogens."""
    from openmm import unit

    fixer = _read(path)
    if fixer.topology.getPeriodicBoxVectors() is not None:
        warnings.warn(f"{path}: the unit cell (CRYST1) is dropped", stacklevel=4)
    others = [residue for residue in fixer.topology.residues() if residue.name not in _NUCLEOTIDES]
    foreign = [residue for residue in others if residue.name != "HOH" and len(list(residue.atoms())) > 1]
    if foreign and not dna_only:
        raise StructureError(f"{_name(foreign[0])} is not DNA; structures.dna_only=true leaves out what is not")
    counts = ", ".join(f"{number} {name}" for name, number in Counter(residue.name for residue in others).items())
    _leave_out(fixer, others, f"{path}: what is not DNA is dropped ({counts})")
    _leave_out(fixer, _phosphates_at_ends(fixer), f"{path}: phosphates at 5' ends are replaced by 5'-OH")
    if fixer.topology.getNumAtoms() == 0:
        raise StructureError("the file holds no DNA (residues DA, DC, DG, DT)")
    _check_complete(fixer)
    positions = np.array(fixer.positions.value_in_unit(unit.angstrom))
    _check_unbroken(fixer.topology, positions)
    return fixer.topology, positions


def _read(path: str) -> Any:
    try:
        from pdbfixer import PDBFixer
    except ModuleNotFoundError:
        raise StructureError("reading DNA needs pdbfixer: pip install 'densitylab[dna]'") from None
    form = "pdbxfile" if Path(path).suffix.lower() in (".cif", ".mmcif", ".pdbx") else "pdbfile"
    try:
        with open(path) as file:
            return PDBFixer(**{form: file})
    except Exception as error:  # whatever the parsers of OpenMM raise
        raise StructureError(f"not readable as a structure ({type(error).__name__}: {error})") from None


def _leave_out(fixer: Any, unwanted: list[Any], notice: str) -> None:
    from openmm import app

    if unwanted:
        warnings.warn(notice, stacklevel=5)
        modeller = app.Modeller(fixer.topology, fixer.positions)
        modeller.delete(unwanted)
        fixer.topology, fixer.positions = modeller.topology, modeller.positions


def _phosphates_at_ends(fixer: Any) -> list[Any]:
    firsts = [next(iter(chain.residues())) for chain in fixer.topology.chains()]
    return [atom for residue in firsts for atom in residue.atoms() if atom.name in _PHOSPHATE]


def _check_complete(fixer: Any) -> None:
    fixer.missingResidues = {}  # gaps are found by distance, and ends that were not seen are not needed
    fixer.findMissingAtoms()
    for residue, atoms in fixer.missingAtoms.items():
        more = f" (and {len(fixer.missingAtoms) - 1} more nucleotides are incomplete)" * (len(fixer.missingAtoms) > 1)
        raise StructureError(f"{_name(residue)} lacks {', '.join(atom.name for atom in atoms)}{more}")


def _check_unbroken(topology: Any, positions: np.ndarray) -> None:
    for chain in topology.chains():
        residues = list(chain.residues())
        for one, two in pairwise(residues):
            distance = np.linalg.norm(positions[_index(one, "O3'")] - positions[_index(two, "P")])
            if distance > _LONGEST_BOND_ANGSTROM:
                raise StructureError(f"the strand has a gap of {distance:.1f} Å between {_name(one)} and {_name(two)}")


def _index(residue: Any, name: str) -> int:
    index: int = next(atom.index for atom in residue.atoms() if atom.name == name)
    return index


def _name(residue: Any) -> str:
    return f"{residue.name} {residue.id} of chain {residue.chain.id}"
