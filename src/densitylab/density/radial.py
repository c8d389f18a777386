"""Radial factors: what stands before a solid harmonic S_lm(d) in a Gaussian shell, its potential, and its far field.

Each gives the k-th derivative of f_l(α, x) with respect to x = d², for exponents and x that broadcast. With u = αx:

- density: φ = N S_lm(d) e^(−u),
- potential: ∫φ(r)/|r − R| dr = N (2π/α) F_l(u) S_lm(d), because S_lm(∇) makes φ of an s-function and commutes with
  the Coulomb integral; F_l is Boys' function (Helgaker, Jørgensen, Olsen: Molecular Electronic-Structure Theory, 9.9),
- far field: the same for u → ∞, N (2π/α) (2l − 1)!! √π / (2^(l+1) u^(l+½)) S_lm(d).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from densitylab.density.boys import boys

Radial = Callable[[Tensor, Tensor, int, int], Tensor]
"""(exponents, x, l, k) → ∂^k f_l / ∂x^k."""


def gaussian(exponents: Tensor, x: Tensor, l: int, k: int = 0) -> Tensor:
    """Of the shell itself, the same for every l."""
    return (-exponents) ** k * torch.exp(-exponents * x)


def gaussian_laplacian(exponents: Tensor, x: Tensor, l: int, k: int = 0) -> Tensor:
    """Of ∇² of the shell: ∇²(f S_l) = (4x f'' + (4l + 6) f') S_l. Only for k = 0."""
    return (4 * exponents * x - (4 * l + 6)) * exponents * torch.exp(-exponents * x)


def coulomb(exponents: Tensor, x: Tensor, l: int, k: int = 0) -> Tensor:
    """Of the potential of the shell, hartree/e for one electron in it."""
    return 2 * math.pi / exponents * (-exponents) ** k * boys(exponents * x, l + k)


def multipole(exponents: Tensor, x: Tensor, l: int, k: int = 0) -> Tensor:
    """Of the potential outside of the shell; relative error e^(−αx)."""
    order = l + k
    limit = math.prod(range(1, 2 * order, 2)) * math.sqrt(math.pi) / 2 ** (order + 1)
    return 2 * math.pi / exponents * (-exponents) ** k * limit * (exponents * x) ** (-order - 0.5)
