"""Orbitals of any program, from molden and fchk files (qc-iodata knows their dialects).

The file's functions are written as contractions of our own shells, in which its orbitals must be orthonormal: a wrong
order, sign or norm cannot pass unseen. :mod:`.project` takes them to PySCF's functions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from densitylab.labels.correlated import natural_orbitals
from densitylab.labels.importers.functions import Contraction, contractions, overlap_of
from densitylab.labels.level import LabelError, Level
from densitylab.structures import prepare
from densitylab.units import BOHR_TO_ANGSTROM

ORTHONORMAL = 1e-6
_WHOLE = 1e-4


@dataclass(frozen=True)
class Wavefunction:
    """What a file holds: structure, contracted functions, occupied orbitals (AO, N) over them, occupations (N,).

    ``energy`` in hartree, ``forces`` (A, 3) in hartree/bohr, not a number where the file has none.
    """

    path: Path
    atoms: Atoms
    functions: list[Contraction]
    orbitals: np.ndarray
    occupations: np.ndarray
    energy: float
    forces: np.ndarray


def read_wavefunction(path: Path, format: str, level: Level, group: str) -> Wavefunction:
    """Read and check one file.

    Raises
    ------
    LabelError
        If it cannot be read, has Cartesian functions, a core potential or Slater functions, or orbitals that are not
        orthonormal to 1e-6 in the order of any program that is known.
    """
    data = _load(path, format)
    try:
        atoms, functions = _atoms(data, group), contractions(data.obasis)
        spins, overlap_of_functions = _spins(data.mo), overlap_of(functions, atoms)
        for orbitals, _ in spins:
            _require_orthonormal(orbitals, overlap_of_functions)
        spins = _correlated(data, level, overlap_of_functions) or spins
    except (LabelError, ValueError) as error:
        raise LabelError(f"{path}: {error}") from None
    gradient = getattr(data, "atgradient", None)
    forces = np.full((len(atoms), 3), np.nan) if gradient is None else -np.asarray(gradient)
    orbitals = np.concatenate([orbitals for orbitals, _ in spins], axis=1)
    occupations = np.concatenate([occupations for _, occupations in spins])
    energy = np.nan if data.energy is None else float(data.energy)
    return Wavefunction(path, atoms, functions, orbitals, occupations, energy, forces)


def _load(path: Path, format: str) -> Any:
    try:
        import iodata
    except ImportError:
        raise LabelError("molden and fchk files need another package: pip install 'densitylab[importers]'") from None
    with warnings.catch_warnings():  # that a known mistake of a program was set right
        warnings.simplefilter("ignore")
        try:
            data = iodata.load_one(str(path), fmt=format)
        except Exception as error:  # iodata's own for what it notices, anything for what it does not
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LabelError(f"{path}: not readable as {format} ({reason})") from None
    if data.mo is None or data.obasis is None or data.mo.coeffs is None:
        raise LabelError(f"{path}: the file has no orbitals")
    return data


def _atoms(data: Any, group: str) -> Atoms:
    cores = np.asarray(data.atcorenums)
    if not np.allclose(cores, data.atnums):
        raise LabelError("core potentials and ghost atoms are not supported")
    atoms = Atoms(numbers=data.atnums, positions=np.asarray(data.atcoords) * BOHR_TO_ANGSTROM)
    number = float(np.sum(data.mo.occs))
    if abs(number - round(number)) > _WHOLE:
        raise LabelError(f"{number:.6f} electrons are not a whole number")
    spin = 0.0 if data.mo.spinpol is None else float(data.mo.spinpol)
    charge = int(atoms.numbers.sum()) - round(number)
    return prepare(atoms, charge=charge, multiplicity=round(spin) + 1, group=group)


def _spins(mo: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Occupied orbitals and occupations, in one part or of α and β."""
    parts = [(mo.coeffs, mo.occs)]
    if mo.kind == "unrestricted":
        parts = [(mo.coeffsa, mo.occsa), (mo.coeffsb, mo.occsb)]
    return [(coefficients[:, occs != 0], occs[occs != 0]) for coefficients, occs in parts]


def _correlated(data: Any, level: Level, overlap_of_functions: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Natural orbitals of a correlated density, if the file has one."""
    matrix = (data.one_rdms or {}).get("post_scf_ao")
    if matrix is None:
        return []
    if not level.correlation:
        raise LabelError("the file has a correlated density; name its method (labels.level.correlation=CCSD)")
    return [natural_orbitals(np.asarray(matrix), overlap_of_functions)]


def _require_orthonormal(orbitals: np.ndarray, overlap_of_functions: np.ndarray) -> None:
    if orbitals.shape[0] != len(overlap_of_functions):
        raise LabelError(f"orbitals over {orbitals.shape[0]} functions, but the file has {len(overlap_of_functions)}")
    error = np.abs(orbitals.T @ overlap_of_functions @ orbitals - np.eye(orbitals.shape[1])).max(initial=0)
    if error > ORTHONORMAL:
        raise LabelError(
            f"the orbitals are not orthonormal (error {error:.1e}): the file orders or scales its functions in a way "
            "that is not known, or has too few decimals"
        )
