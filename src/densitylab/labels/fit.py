"""Density fitting: the coefficients of Δρ = ρ_SCF − ρ⁰ in an auxiliary basis, under exact linear constraints.

Metric M, Coulomb (Dunlap 1979; shared/FACTS.md §1.2) or overlap: c₀ = M⁻¹ g with g_P = (P|Δρ), then for constraints
A c = t, c = c₀ + M⁻¹Aᵀ (A M⁻¹Aᵀ)⁻¹ (t − A c₀).
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
from densitylab.density.integrals import as_mole, coulomb, overlap
from densitylab.keys import fingerprint
from densitylab.labels.constraints import Constraint, constraint_rows, field_at_nuclei, targets_of
from densitylab.labels.level import molecule
from densitylab.structures import electrons
from densitylab.units import EBOHR_TO_DEBYE

if TYPE_CHECKING:
    from densitylab.labels.calculation import Calculation

_SMALLEST_EIGENVALUE = 1e-10  # of the metric; directions below carry no charge that can be told from noise

_FULFILLED = 1e-7  # of a constraint's own size; the rounding of float64 through a metric of condition 1e9

Metric = Literal["coulomb", "overlap"]
METRICS = {"coulomb": (coulomb, "int3c2e"), "overlap": (overlap, "int3c1e")}


@dataclass(frozen=True)
class FitSettings:
    """How a density is fitted.

    Attributes
    ----------
    constraints: quantities that the fit reproduces exactly; ``field`` is the electric field of the electrons at every
        nucleus, without which Hellmann-Feynman forces are useless (shared/FACTS.md §0).
    metric: in which the error is smallest, ``coulomb`` or ``overlap``.
    grid_level: of the atom-centred grid on which the fit's own ε is measured.
    memory_mb: bound on the block of three-index integrals that is held at a time. Does not change the result.
    """

    constraints: tuple[Constraint, ...] = ("charge",)
    metric: Metric = "coulomb"
    grid_level: int = 1
    memory_mb: int = 500

    def __post_init__(self) -> None:
        unknown = set(self.constraints) - set(get_args(Constraint))
        if unknown:
            raise ValueError(f"unknown constraint {unknown.pop()!r} (known: {', '.join(get_args(Constraint))})")
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r} (known: {', '.join(METRICS)})")

    def key(self, calculation_key: str, symbols: set[str], basis: GaussianBasis, prior: Prior) -> str:
        """Identity in the store: calculation, functions and prior of its elements, metric, constraints."""
        shells = {symbol: basis.of(symbol) for symbol in symbols}
        atoms = {symbol: prior.atoms.get(symbol) for symbol in symbols}
        return fingerprint([calculation_key, shells, atoms, self.metric, sorted(self.constraints)])


@dataclass(frozen=True)
class Fit:
    """Coefficients (F,) of Δρ, atom by atom, l ascending, m = −l … +l, and how good they are.

    ``residuals``: ``epsilon_floor_percent`` (fit + prior against the SCF orbitals), ``electrons``, ``dipole_debye``
    (norm of the error), ``force_hartree_per_bohr`` (mean absolute error of the components of the Hellmann-Feynman
    forces against those of the orbitals), ``dropped_directions`` of a near-singular metric and its ``condition``.
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
    shells, reference = basis.shells(atoms), prior.density(atoms)
    metric, integral = METRICS[settings.metric]
    projections = _project(calculation, shells, integral, settings.memory_mb)
    if prior.atoms:
        projections -= (metric(shells, reference.shells) @ reference.coefficients).numpy()
    rows = constraint_rows(settings.constraints, shells, reference.nuclei.positions)
    targets = targets_of(settings.constraints, calculation, reference)
    coefficients, report = solve(metric(shells).numpy(), projections, rows, targets)
    delta = Density.from_basis(basis, atoms, torch.as_tensor(coefficients))
    return Fit(coefficients, report | _residuals(calculation, delta + reference, settings.grid_level))


def _project(calculation: Calculation, shells: Shells, integral: str, memory_mb: int) -> np.ndarray:
    """(F,) projections (P|ρ) of the orbital density, three-index integrals block by block."""
    from pyscf import df

    mole, auxiliary = molecule(calculation.atoms, calculation.level), as_mole(shells)
    matrix = calculation.density_matrix()
    packed = (2 * matrix - np.diag(np.diag(matrix)))[np.tril_indices(len(matrix))]
    width = max(1, int(memory_mb * 1e6 / (8 * packed.size)))
    blocks = _shell_blocks((2 * shells.l + 1).tolist(), width)
    projections = [
        packed @ df.incore.aux_e2(
            mole, auxiliary, integral, aosym="s2ij",
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


def solve(
    metric: np.ndarray, projections: np.ndarray, rows: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, dict[str, float]]:
    """(F,) the constrained fit of projections g, and what there is to say of the metric. Linear in (g, t) together."""
    import scipy.linalg

    values, vectors = scipy.linalg.eigh(metric)
    kept = values > _SMALLEST_EIGENVALUE
    values, vectors = values[kept], vectors[:, kept]

    def inverse(x: np.ndarray) -> np.ndarray:
        return (vectors / values) @ (vectors.T @ x)

    coefficients = inverse(projections)
    if len(rows):
        coefficients = coefficients + _correction(inverse(rows.T), rows, targets - rows @ coefficients)
    report = {"dropped_directions": float((~kept).sum()), "condition": float(values[-1] / values[0])}
    return coefficients, report


def _correction(response: np.ndarray, rows: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(F,) smallest change that brings ``missing`` (n,) into the constraints; those that repeat others do no harm."""
    matrix = rows @ response
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    change = response @ (scale * np.linalg.lstsq(scale[:, None] * matrix * scale, scale * missing, rcond=1e-12)[0])
    if (scale * np.abs(rows @ change - missing) > _FULFILLED).any():
        raise BasisError("the basis cannot fulfil the constraints: they do not depend on its functions")
    return change


def _residuals(calculation: Calculation, density: Density, grid_level: int) -> dict[str, Any]:
    grid = atom_centered(calculation.atoms, grid_level)
    exact = calculation.density_values(grid.points)
    number = electrons(calculation.atoms)
    dipole_error = density.dipole().numpy() - calculation.dipole
    force_error = calculation.atoms.numbers[:, None] * (field_at_nuclei(density).numpy() - calculation.nuclear_fields)
    return {
        "epsilon_floor_percent": epsilon(density.values(grid.points), exact, grid, number),
        "electrons": float(density.electrons()) - number,
        "dipole_debye": float(np.linalg.norm(dipole_error)) * EBOHR_TO_DEBYE,
        "force_hartree_per_bohr": float(np.abs(force_error).mean()),
    }
