"""Whether forces are forces: −∂E/∂R in hartree/bohr, and not the gradient that files of that name hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from densitylab.density import Density
from densitylab.labels.calculation import UNTRUSTED, Calculation
from densitylab.labels.constraints import field_at_nuclei
from densitylab.labels.scf import calculate
from densitylab.units import ANGSTROM_TO_BOHR, BOHR_TO_ANGSTROM

_STEP_BOHR = 0.005


def has_forces(calculation: Calculation) -> bool:
    """Whether there is anything to compare."""
    return bool(np.isfinite(calculation.forces).all()) and UNTRUSTED not in calculation.atoms.info


def correlation(pairs: Iterable[tuple[Calculation, Density | None]]) -> float:
    """Cosine between the stored and the Hellmann-Feynman forces on all hydrogen atoms together: about −1 for gradients.

    The electric field at a hydrogen needs no special basis to have the right sign, other than that at a heavier
    nucleus (shared/FACTS.md §0). From the orbitals, else from the fitted density. NaN without hydrogen.
    """
    stored, predicted = [], []
    for calculation, density in pairs:
        light = calculation.atoms.numbers == 1
        stored.append(calculation.forces[light].ravel())
        predicted.append(_hellmann_feynman(calculation, density)[light].ravel())
    one, other = (np.concatenate([np.empty(0), *parts]) for parts in (stored, predicted))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size else float("nan")


def finite_difference(calculation: Calculation) -> tuple[float, float]:
    """Stored force along its own direction, and minus the central difference of the energy there, hartree/bohr.

    Two calculations at the level of the record, in PySCF. Raises :class:`LabelError` if PySCF cannot make them.
    """
    size = float(np.linalg.norm(calculation.forces))
    direction = calculation.forces / size
    energies = []
    for sign in (1, -1):
        moved = calculation.atoms.copy()
        moved.positions += sign * _STEP_BOHR * BOHR_TO_ANGSTROM * direction
        energies.append(calculate(moved, replace(calculation.level, program="pyscf")).energy)
    return size, -(energies[0] - energies[1]) / (2 * _STEP_BOHR)


def _hellmann_feynman(calculation: Calculation, density: Density | None) -> np.ndarray:
    """(A, 3) Z (field of the other nuclei + field of the electrons), hartree/bohr."""
    atoms = calculation.atoms
    positions = atoms.positions * ANGSTROM_TO_BOHR
    field = calculation.nuclear_fields if density is None else field_at_nuclei(density).numpy()
    apart = positions[:, None] - positions[None]
    cubes = np.linalg.norm(apart, axis=-1) ** 3 + np.diag(np.full(len(atoms), np.inf))
    field = field + (atoms.numbers[None, :, None] * apart / cubes[..., None]).sum(axis=1)
    return np.asarray(atoms.numbers[:, None] * field)
