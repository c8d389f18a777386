"""The floor of a density basis as a differentiable function of its exponents.

The floor is what :func:`densitylab.labels.fit.fit_density` leaves: ε between orbital density and charge-constrained
Coulomb fit. Its derivative with respect to every exponent is exact to first order: integrals are differentiated by
central differences of the shells they belong to, the rest by autograd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from densitylab.density import Density, Prior, Shells
from densitylab.density.at_points import evaluate
from densitylab.density.basis import even_tempered
from densitylab.density.grid import Grid, atom_centered
from densitylab.density.integrals import coulomb
from densitylab.labels.calculation import Calculation
from densitylab.labels.fit import FitSettings, fit_density
from densitylab.structures import electrons

_STEP = 1e-4  # of the logarithm of an exponent: central differences are good to 1e-8 of a derivative
_SMALLEST_EIGENVALUE = 1e-10  # added to the metric, where a fit drops such directions


@dataclass(frozen=True)
class Sample:
    """One density to be represented.

    Attributes
    ----------
    atoms: the structure, Å.
    grid: on which ε is measured.
    values: (P,) Δρ = ρ_SCF − ρ⁰ from the orbitals, e/bohr³.
    dense: Δρ in a basis so large that its Coulomb projections are those of the orbitals.
    """

    atoms: Atoms
    grid: Grid
    values: Tensor
    dense: Density


def sample(calculation: Calculation, prior: Prior, grid_level: int = 1, beta: float = 1.7) -> Sample:
    """Prepare a calculation. ``beta``: ratio of the exponents of the large basis that stands for the orbitals."""
    atoms = calculation.atoms
    large = even_tempered(calculation.level.basis, set(atoms.symbols), beta)
    fit = fit_density(calculation, large, prior, FitSettings(grid_level=0))
    grid = atom_centered(atoms, grid_level)
    values = calculation.density_values(grid.points) - prior.density(atoms).values(grid.points)
    return Sample(atoms, grid, values, Density.from_basis(large, atoms, torch.as_tensor(fit.coefficients)))


def floor(shells: Shells, given: Sample, logarithms: Tensor | None = None, moving: Tensor | None = None) -> Tensor:
    """ε in percent of the best fit of ``given`` in ``shells``; differentiable in ``logarithms`` (S,) = ln α.

    ``moving`` (S,) bool: the shells whose derivatives are asked for (all if ``None``); others are wrong, and cost
    nothing.
    """
    logarithms = shells.exponents.log() if logarithms is None else logarithms
    moving = torch.full_like(shells.l, logarithms.requires_grad, dtype=torch.bool) if moving is None else moving
    metric, projections = _differentiable(shells, given.dense, logarithms, moving)
    moved = Shells(shells.centers, logarithms.exp(), shells.l)
    charges = moved.charges()
    free, response = torch.linalg.solve(metric, torch.stack([projections, charges], dim=1)).unbind(1)
    missing = given.dense.electrons() - charges @ free
    coefficients = free + response * missing / (charges @ response)
    error = evaluate(moved, coefficients, given.grid.points) - given.values
    return 100 * given.grid.integrate(error.abs()) / electrons(given.atoms)


def _differentiable(shells: Shells, dense: Density, logarithms: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
    """Coulomb matrix (F, F) and projections (F,), right in value and first derivative at the moving exponents."""
    functions = torch.repeat_interleave(moving, 2 * shells.l + 1)
    change = torch.repeat_interleave(logarithms - logarithms.detach(), 2 * shells.l + 1)[functions]

    def first_order(ket: Shells) -> Tensor:
        ends = (shells.exponents[moving] * np.exp(sign * _STEP) for sign in (1, -1))
        plus, minus = (coulomb(Shells(shells.centers[moving], end, shells.l[moving]), ket) for end in ends)
        rows = change[:, None] * (plus - minus) / (2 * _STEP)
        return torch.zeros(shells.size, ket.size, dtype=rows.dtype).index_put((functions,), rows)

    rows = first_order(shells)
    projections = (coulomb(shells, dense.shells) + first_order(dense.shells)) @ dense.coefficients
    ridge = _SMALLEST_EIGENVALUE * torch.eye(shells.size, dtype=torch.float64)
    return coulomb(shells) + ridge + rows + rows.T, projections
