"""Density fitting: the coefficients of Δρ = ρ_SCF − ρ⁰ in an auxiliary basis, under exact linear constraints.

Coulomb metric (Dunlap 1979; shared/FACTS.md §1.2): c₀ = J⁻¹ g with g_P = (P|Δρ), then for constraints A c = t
c = c₀ + J⁻¹Aᵀ (A J⁻¹Aᵀ)⁻¹ (t − A c₀).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from densitylab.density import BasisError, Density, GaussianBasis, Prior, Shells
from densitylab.density.compare import epsilon
from densitylab.density.conventions import standard_from_shells
from densitylab.density.grid import atom_centered
from densitylab.density.integrals import as_mole, coulomb
from densitylab.keys import fingerprint
from densitylab.labels.level import molecule
from densitylab.structures import electrons
from densitylab.units import EBOHR_TO_DEBYE

if TYPE_CHECKING:
    from densitylab.labels.scf import Calculation

_SMALLEST_EIGENVALUE = 1e-10  # of the metric; directions below carry no charge that can be told from noise

Constraint = Literal["charge", "dipole"]


@dataclass(frozen=True)
class FitSettings:
    """How a density is fitted.

    Attributes
    ----------
    constraints: quantities that the fit reproduces exactly.
    grid_level: of the atom-centred grid on which the fit's own ε is measured.
    memory_mb: bound on the block of three-index integrals that is held at a time. Does not change the result.
    """

    constraints: tuple[Constraint, ...] = ("charge",)
    grid_level: int = 2
    memory_mb: int = 500

    def __post_init__(self) -> None:
        unknown = set(self.constraints) - set(get_args(Constraint))
        if unknown:
            raise ValueError(f"unknown constraint {unknown.pop()!r} (known: {', '.join(get_args(Constraint))})")

    def key(self, calculation_key: str, symbols: set[str], basis: GaussianBasis, prior: Prior) -> str:
        """Identity in the store: calculation, functions and prior of its elements, metric, constraints."""
        shells = {symbol: basis.of(symbol) for symbol in symbols}
        atoms = {symbol: prior.atoms.get(symbol) for symbol in symbols}
        return fingerprint([calculation_key, shells, atoms, "coulomb", sorted(self.constraints)])


@dataclass(frozen=True)
class Fit:
    """Coefficients (F,) of Δρ, atom by atom, l ascending, m = −l … +l, and how good they are.

    ``residuals``: ``epsilon_floor_percent`` (fit + prior against the SCF orbitals), ``electrons``, ``dipole_debye``
    (norm of the error), ``dropped_directions`` of a near-singular metric and its ``condition``.
    """

    coefficients: np.ndarray
    residuals: dict[str, float] = field(default_factory=dict)


def fit_density(calculation: Calculation, basis: GaussianBasis, prior: Prior, settings: FitSettings) -> Fit:
    """Fit the density of a calculation minus ``prior`` in ``basis``.

    Raises
    ------
    BasisError
        If basis or prior lack an element of the structure, or the basis cannot fulfil a constraint.
    """
    atoms = calculation.atoms
    shells = basis.shells(atoms)
    reference = prior.density(atoms)
    projections = _project(calculation, shells, settings.memory_mb)
    if prior.atoms:
        projections -= (coulomb(shells, reference.shells) @ reference.coefficients).numpy()
    missing = electrons(atoms) - float(reference.electrons())
    rows, targets = _constraints(settings.constraints, calculation, shells, reference, missing)
    coefficients, report = _solve(coulomb(shells).numpy(), projections, rows, targets)
    delta = Density.from_basis(basis, atoms, torch.as_tensor(coefficients))
    return Fit(coefficients, report | _residuals(calculation, delta + reference, settings.grid_level))


def _project(calculation: Calculation, shells: Shells, memory_mb: int) -> np.ndarray:
    """(F,) Coulomb projections (P|ρ) of the orbital density, three-index integrals block by block."""
    from pyscf import df

    mole, auxiliary = molecule(calculation.atoms, calculation.level), as_mole(shells)
    matrix = calculation.density_matrix()
    packed = (2 * matrix - np.diag(np.diag(matrix)))[np.tril_indices(len(matrix))]
    width = max(1, int(memory_mb * 1e6 / (8 * packed.size)))
    blocks = _shell_blocks((2 * shells.l + 1).tolist(), width)
    projections = [
        packed @ df.incore.aux_e2(
            mole, auxiliary, "int3c2e", aosym="s2ij",
            shls_slice=(0, mole.nbas, 0, mole.nbas, first, last),
        )
        for first, last in blocks
    ]  # fmt: skip
    return np.concatenate(projections)[standard_from_shells("pyscf", shells.l.numpy())]


def _shell_blocks(widths: list[int], limit: int) -> list[tuple[int, int]]:
    """Consecutive ranges of shells with at most ``limit`` functions (but at least one shell) each."""
    blocks, first, size = [], 0, 0
    for index, width in enumerate(widths):
        if size + width > limit and index > first:
            blocks.append((first, index))
            first, size = index, 0
        size += width
    return [*blocks, (first, len(widths))]


def _constraints(
    names: tuple[Constraint, ...],
    calculation: Calculation,
    shells: Shells,
    reference: Density,
    missing: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, F) and targets (n,) of A c = t."""
    rows: list[np.ndarray] = []
    targets: list[float] = []
    if "charge" in names:
        rows.append(shells.charges().numpy())
        targets.append(missing)
    if "dipole" in names:
        rows.extend(shells.first_moments().numpy().T)
        targets.extend((reference.dipole().numpy() - calculation.dipole).tolist())
    return np.array(rows).reshape(-1, shells.size), np.array(targets)


def _solve(
    metric: np.ndarray, projections: np.ndarray, rows: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, dict[str, float]]:
    import scipy.linalg

    values, vectors = scipy.linalg.eigh(metric)
    kept = values > _SMALLEST_EIGENVALUE
    values, vectors = values[kept], vectors[:, kept]

    def inverse(x: np.ndarray) -> np.ndarray:
        return (vectors / values) @ (vectors.T @ x)

    free = inverse(projections)
    response = inverse(rows.T)
    try:
        coefficients = free + response @ np.linalg.solve(rows @ response, targets - rows @ free)
    except np.linalg.LinAlgError:
        raise BasisError("the basis cannot fulfil the constraints: they do not depend on its functions") from None
    report = {"dropped_directions": float((~kept).sum()), "condition": float(values[-1] / values[0])}
    return coefficients, report


def _residuals(calculation: Calculation, density: Density, grid_level: int) -> dict[str, Any]:
    grid = atom_centered(calculation.atoms, grid_level)
    exact = calculation.density_values(grid.points)
    number = electrons(calculation.atoms)
    dipole_error = density.dipole().numpy() - calculation.dipole
    return {
        "epsilon_floor_percent": epsilon(density.values(grid.points), exact, grid, number),
        "electrons": float(density.electrons()) - number,
        "dipole_debye": float(np.linalg.norm(dipole_error)) * EBOHR_TO_DEBYE,
    }
