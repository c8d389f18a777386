"""Densities and their potentials at points, to second derivatives. Points and results in atomic units.

Everything is differentiable in centres, exponents, coefficients and points. A shell is left out where its factor
e^(−αd²) is below 1e-20.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from densitylab.density.expansion import Sites, gradients, hessians, sites, values, values_by_degree
from densitylab.density.radial import coulomb, gaussian, gaussian_laplacian, multipole
from densitylab.density.shells import Shells
from densitylab.density.tiles import TILE, Term, sum_over_sites

_NEGLIGIBLE = 46.0  # e^(−46) is 1e-20: below the rounding of every sum it would be added to
_DERIVATIVES: list[Callable[..., Tensor]] = [values, gradients, hessians]


def evaluate(shells: Shells, coefficients: Tensor, points: Tensor, tile: int = TILE) -> Tensor:
    """(P,) values Σ_k c_k φ_k(r) at ``points`` (P, 3) in bohr. Memory ∝ ``tile``, unless derivatives are recorded."""
    return _of_density(shells, coefficients, points, (), partial(values, radial=gaussian), tile)


def evaluate_by_degree(shells: Shells, coefficients: Tensor, points: Tensor) -> Tensor:
    """(P, l_max + 1) the same, the functions of every l by themselves."""
    degrees = int(shells.l.max()) + 1 if len(shells.l) else 1
    term = partial(values_by_degree, radial=gaussian, degrees=degrees)
    return _of_density(shells, coefficients, points, (degrees,), term)


def gradient(shells: Shells, coefficients: Tensor, points: Tensor) -> Tensor:
    """(P, 3) ∇ of :func:`evaluate`, per bohr."""
    return _of_density(shells, coefficients, points, (3,), partial(gradients, radial=gaussian))


def laplacian(shells: Shells, coefficients: Tensor, points: Tensor) -> Tensor:
    """(P,) ∇² of :func:`evaluate`, per bohr²."""
    return _of_density(shells, coefficients, points, (), partial(values, radial=gaussian_laplacian))


def potential(
    shells: Shells, coefficients: Tensor, points: Tensor, derivative: int = 0, tolerance: float = 1e-12
) -> Tensor:
    """(P,) Σ_k c_k ∫ φ_k(r) / |r − R| dr at points R, hartree/e; or its first (P, 3) or second (P, 3, 3) derivatives.

    Where all its shells are as good as points, an atom is a multipole of every l: for most pairs of atom and point the
    work is that of the harmonics alone. ``tolerance`` is the relative error of any multipole.
    """
    term = _DERIVATIVES[derivative]
    return sum_over_sites(
        sites(shells, coefficients), points, (3,) * derivative,
        near=partial(term, radial=coulomb), reach=lambda l: _like_a_point(l + derivative, tolerance),
        far=lambda beyond, where: term(_point_multipoles(beyond), where, radial=multipole),
    )  # fmt: skip


def _of_density(
    shells: Shells, coefficients: Tensor, points: Tensor, shape: tuple[int, ...], term: Term, tile: int = TILE
) -> Tensor:
    return sum_over_sites(sites(shells, coefficients), points, shape, term, lambda l: _NEGLIGIBLE, tile=tile)


@cache
def _like_a_point(order: int, tolerance: float) -> float:
    """Argument u from which on Boys' function F_n is its limit for large u: it lacks Γ(n + ½, u)/Γ(n + ½) of that."""
    from scipy.special import gammainccinv

    return float(gammainccinv(order + 0.5, tolerance))


def _point_multipoles(outside: Sites) -> Sites:
    """One shell of exponent 1 per l with the multipole moments of all: they fall as α^−(l + 3/2)."""
    exponents = {l: torch.ones_like(alpha[:, :1]) for l, alpha in outside.exponents.items()}
    scale = {l: alpha ** -(l + 1.5) for l, alpha in outside.exponents.items()}
    weights = {l: (scale[l][..., None] * w).sum(1, keepdim=True) for l, w in outside.weights.items()}
    return Sites(outside.centers, exponents, weights)
