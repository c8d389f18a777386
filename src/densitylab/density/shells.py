"""Normalised solid-harmonic Gaussian shells at arbitrary centres, and their values on points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from densitylab.density.conventions import E3NN_AXES

_NEGLIGIBLE = 46.0  # exp(−46) is 1e-20: below the rounding of every sum it would be added to


@dataclass(frozen=True)
class Shells:
    """S shells with 2l + 1 functions each, every one L2-normalised, m = −l … +l.

    φ_lm(r) = N_l(α) r^l Y_lm(r̂) exp(−α r²) about the shell's own centre, with orthonormal real harmonics Y_lm and
    N_l(α)² = 2 (2α)^(l+3/2) / Γ(l+3/2).

    Attributes
    ----------
    centers: (S, 3), bohr.
    exponents: (S,), bohr⁻².
    l: (S,), integers.
    """

    centers: Tensor
    exponents: Tensor
    l: Tensor

    def __post_init__(self) -> None:
        number = len(self.l)
        if self.centers.shape != (number, 3) or self.exponents.shape != (number,):
            raise ValueError(
                f"shells need centers (S, 3), exponents (S,), l (S,); "
                f"got {tuple(self.centers.shape)}, {tuple(self.exponents.shape)}, {tuple(self.l.shape)}"
            )
        if not (self.exponents > 0).all():  # NaN as well
            raise ValueError("every exponent must be positive")

    @property
    def size(self) -> int:
        """Number of functions, Σ(2l + 1)."""
        return int((2 * self.l + 1).sum())

    @property
    def offsets(self) -> Tensor:
        """(S,) index of the first function of every shell."""
        widths = 2 * self.l + 1
        return torch.cumsum(widths, 0) - widths

    def functions(self, l: int) -> tuple[Tensor, Tensor]:
        """Shells of degree ``l``, (n,), and the indices of their functions, (n, 2l + 1)."""
        chosen = torch.nonzero(self.l == l).flatten()
        return chosen, self.offsets[chosen, None] + torch.arange(2 * l + 1, device=self.l.device)

    def charges(self) -> Tensor:
        """(F,) ∫ φ dr, e. Zero unless l = 0, where it is N (π/α)^(3/2) / √(4π)."""
        q = self.exponents.new_zeros(self.size)
        shells, functions = self.functions(0)
        alpha = self.exponents[shells]
        q[functions[:, 0]] = norm(0, alpha) * (math.pi / alpha) ** 1.5 / math.sqrt(4 * math.pi)
        return q

    def first_moments(self) -> Tensor:
        """(F, 3) ∫ φ r dr about the origin, bohr. Non-zero for l = 0 (charge × centre) and l = 1."""
        moments = self.charges()[:, None] * torch.repeat_interleave(self.centers, 2 * self.l + 1, dim=0)
        shells, functions = self.functions(1)
        alpha = self.exponents[shells]
        # ∫ x · x exp(−αr²) dr = π^(3/2) / (2 α^(5/2)); Y_1 = √(3/4π) (y, z, x)/r
        p_moment = norm(1, alpha) * math.sqrt(3 / (4 * math.pi)) * math.pi**1.5 / (2 * alpha**2.5)
        moments[functions, torch.tensor(E3NN_AXES)] = p_moment[:, None].expand(-1, 3)
        return moments


def norm(l: int, exponents: Tensor) -> Tensor:
    """Radial normalisation N_l(α), bohr^−(l+3/2): ∫ |N r^l Y_lm exp(−αr²)|² dr = 1."""
    return torch.sqrt(2 * (2 * exponents) ** (l + 1.5) / math.gamma(l + 1.5))


def evaluate(shells: Shells, coefficients: Tensor, points: Tensor, tile: int = 4096) -> Tensor:
    """(P,) values Σ_k c_k φ_k(r) at ``points`` (P, 3) in bohr; differentiable in everything. Memory ∝ ``tile``."""
    return evaluate_by_degree(shells, coefficients, points, tile).sum(-1)


def evaluate_by_degree(shells: Shells, coefficients: Tensor, points: Tensor, tile: int = 4096) -> Tensor:
    """(P, l_max + 1) the same, the functions of every l by themselves."""
    sites, degrees = _sites(shells, coefficients), int(shells.l.max()) + 1 if len(shells.l) else 1
    return torch.cat([_tile_values(sites, part, degrees) for part in points.split(tile)])


@dataclass(frozen=True)
class _Site:
    """All shells of one centre: one exponential per shell, one harmonic per (l, m)."""

    center: Tensor
    exponents: Tensor
    weights: Tensor  # (n, (l_max + 1)²) coefficient × norm, in the columns of the shell's own l
    l_max: int


def _sites(shells: Shells, coefficients: Tensor) -> list[_Site]:
    if shells.centers.requires_grad:  # every shell has a derivative of its own, also where centres coincide
        owner = torch.arange(len(shells.l), device=shells.l.device)
    else:
        owner = torch.unique(shells.centers, dim=0, return_inverse=True)[1]
    sites = []
    for index in owner.unique().tolist():
        own = torch.nonzero(owner == index).flatten()
        ls, exponents = shells.l[own], shells.exponents[own]
        l_max = int(ls.max())
        weights = coefficients.new_zeros(len(own), (l_max + 1) ** 2)
        for l in ls.unique().tolist():
            rows = torch.nonzero(ls == l).flatten()
            functions = shells.offsets[own[rows], None] + torch.arange(2 * l + 1, device=own.device)
            columns = torch.arange(l * l, (l + 1) ** 2, device=own.device)
            values = norm(l, exponents[rows])[:, None] * coefficients[functions]
            weights = weights.index_put((rows[:, None], columns), values)
        sites.append(_Site(shells.centers[own[0]], exponents, weights, l_max))
    return sites


def _tile_values(sites: list[_Site], points: Tensor, degrees: int) -> Tensor:
    from e3nn import o3

    values = points.new_zeros(len(points), degrees)
    for site in sites if len(points) else ():
        difference = points - site.center
        squared = difference.square().sum(-1, keepdim=True)
        kept = site.exponents * squared.min() < _NEGLIGIBLE  # far from its atom, a tight function is nothing
        if not kept.any():
            continue
        radial = torch.exp(-squared * site.exponents[kept]) @ site.weights[kept]
        harmonics = o3.spherical_harmonics(
            list(range(site.l_max + 1)), difference[:, E3NN_AXES], normalize=False, normalization="integral"
        )
        blocks = (radial * harmonics).split([2 * l + 1 for l in range(site.l_max + 1)], dim=1)
        own = torch.stack([block.sum(-1) for block in blocks], dim=1)
        values = values + torch.nn.functional.pad(own, (0, degrees - own.shape[1]))
    return values
