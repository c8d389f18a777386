"""Multipole moments of Gaussian shells, as Cartesian tensors of rank 0 to 3: ∫ρ(r) r ⊗ … ⊗ r dr, e·bohrⁿ.

About its own centre a shell of degree l has moments of rank l, l + 2, … only; those about any other follow.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from densitylab.density.conventions import E3NN_AXES
from densitylab.density.shells import Shells, norm

RANKS = 4  # charge, dipole, quadrupole, octupole


def own_moments(shells: Shells, coefficients: Tensor, ranks: int = RANKS) -> list[Tensor]:
    """For every rank n < ``ranks``, (S, 3, …, 3) moments of every shell times its coefficients about its own centre."""
    moments = [coefficients.new_zeros(len(shells.l), *(3,) * rank) for rank in range(ranks)]
    for l in sorted(set(shells.l.tolist()) & set(range(ranks))):
        chosen, functions = shells.functions(l)
        alpha = shells.exponents[chosen]
        for rank in range(l, ranks, 2):
            power = (l + rank + 3) / 2  # ∫ r^(l + n + 2) e^(−αr²) dr = Γ(p) / (2 α^p)
            radial = norm(l, alpha) * math.gamma(power) / (2 * alpha**power)
            own = torch.tensordot(coefficients[functions] * radial[:, None], _angular(l, rank).to(coefficients), dims=1)
            moments[rank] = moments[rank].index_put((chosen,), own)
    return moments


def translated(moments: list[Tensor], shift: Tensor) -> list[Tensor]:
    """Moments (N, 3, …) of N bodies about new origins; ``shift`` (N, 3) in bohr is the old origin minus the new one."""
    charge, squared = moments[0], _outer(shift, shift)
    result = [charge]
    if len(moments) > 1:
        result.append(moments[1] + _outer(charge, shift))
    if len(moments) > 2:
        result.append(moments[2] + _everywhere(_outer(moments[1], shift), 2) + _outer(charge, squared))
    if len(moments) > 3:
        mixed = _everywhere(_outer(moments[2], shift), 3) + _everywhere(_outer(squared, moments[1]), 3)
        result.append(moments[3] + mixed + _outer(_outer(charge, squared), shift))
    return result


def point_moments(charges: Tensor, positions: Tensor, ranks: int = RANKS) -> list[Tensor]:
    """Moments (N, 3, …) of rank < ``ranks`` of point charges (N,) at ``positions`` (N, 3) from the origin."""
    nothing = [charges.new_zeros(len(charges), *(3,) * rank) for rank in range(1, ranks)]
    return translated([charges, *nothing], positions)


def traceless_quadrupole(quadrupole: Tensor) -> Tensor:
    """(…, 3, 3) Θ = ½(3Q − 1 tr Q) of the full one (Buckingham, Q. Rev. Chem. Soc. 13, 183 (1959))."""
    return 1.5 * quadrupole - 0.5 * _trace(quadrupole)[..., None, None] * torch.eye(3).to(quadrupole)


def traceless_octupole(octupole: Tensor) -> Tensor:
    """(…, 3, 3, 3) Ω_ijk = ½(5O_ijk − t_i δ_jk − t_j δ_ik − t_k δ_ij), t = tr O, of the full one (Buckingham)."""
    trace = _trace(octupole)
    return 2.5 * octupole - 0.5 * _everywhere(torch.einsum("jk,...i->...jki", torch.eye(3).to(octupole), trace), 3)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """(N, …, …) tensor product of the axes after the first of ``a`` (N, …) with those of ``b`` (N, …)."""
    return a.reshape(*a.shape, *(1,) * (b.dim() - 1)) * b.reshape(len(b), *(1,) * (a.dim() - 1), *b.shape[1:])


def _everywhere(t: Tensor, rank: int) -> Tensor:
    """Sum over the places that the last of ``rank`` axes can take among the others, which are symmetric."""
    moved = t + t.transpose(-1, -2)
    return moved if rank == 2 else moved + t.movedim(-1, -3)


def _trace(t: Tensor) -> Tensor:
    return t.diagonal(dim1=-2, dim2=-1).sum(-1)


@cache
def _angular(l: int, rank: int) -> Tensor:
    """(2l + 1, 3, …, 3) ∫ n ⊗ … ⊗ n Y_lm dΩ, by a quadrature that is exact for these polynomials; float64."""
    from e3nn import o3

    z, weights = np.polynomial.legendre.leggauss(8)  # up to degree 15, and 16 angles as much
    phi = np.arange(16) * np.pi / 8
    ring = np.sqrt(1 - z**2)[:, None]
    n = np.stack([ring * np.cos(phi), ring * np.sin(phi), np.broadcast_to(z[:, None], (8, 16))], axis=-1).reshape(-1, 3)
    with torch.inference_mode(False):  # it is kept for callers who differentiate
        direction = torch.as_tensor(n)
        harmonics = o3.spherical_harmonics(l, direction[:, E3NN_AXES], normalize=False, normalization="integral")
        product = torch.as_tensor(np.repeat(weights, 16) * np.pi / 8)
        for _ in range(rank):
            product = _outer(product, direction)
        return torch.tensordot(harmonics.T, product, dims=1)
