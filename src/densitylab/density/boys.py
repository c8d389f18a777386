"""Boys' function F_n(x) = ∫₀¹ t^(2n) exp(−x t²) dt, for tensors, differentiable any number of times."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

_STEP = 1 / 16
_TERMS = 8  # of the Taylor series about the next point of the table: (1/32)^8 / 8! is 2e-17
_LARGE = 30.0  # above, the recursion upwards from the error function loses nothing (2n + 1 < 2x for n ≤ 14)
_HIGHEST = 14


def boys(x: Tensor, n: int) -> Tensor:
    """F_n(x) for x ≥ 0, elementwise, to 1e-14 of itself in float64.

    Table and Taylor series below x = 30, recursion upwards from the error function above (McMurchie and Davidson,
    J. Comput. Phys. 26, 218 (1978)). Raises ``ValueError`` for n outside of 0 … 14.
    """
    if not 0 <= n <= _HIGHEST:
        raise ValueError(f"Boys' function of order {n}; there are 0 to {_HIGHEST}")
    result: Tensor = _Boys.apply(x, n)
    return result


class _Boys(torch.autograd.Function):
    """dF_n/dx = −F_(n+1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.n = n
        small = x.clamp(max=_LARGE)
        return torch.where(x < _LARGE, _taylor(small, n), _upwards(x.clamp(min=_LARGE), n))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return -gradients[0] * _Boys.apply(x, ctx.n + 1), None


def _taylor(x: Tensor, n: int) -> Tensor:
    """F_n(x₀ − δ) = Σ F_(n+k)(x₀) δ^k / k!"""
    table = _table(n, x.dtype, x.device)
    index = (x / _STEP).round()
    delta = index * _STEP - x
    rows = table[index.nan_to_num(0).long()]  # what is no number stays none, by delta
    result = rows[..., -1]
    for k in range(_TERMS - 2, -1, -1):
        result = result * delta + rows[..., k]
    return result


def _upwards(x: Tensor, n: int) -> Tensor:
    exponential = torch.exp(-x)
    result = 0.5 * torch.sqrt(math.pi / x) * torch.erf(torch.sqrt(x))
    for order in range(n):
        result = ((2 * order + 1) * result - exponential) / (2 * x)
    return result


@cache
def _table(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(points, terms) F_(n+k)(x₀) / k! at the points of the table, by Kummer's function."""
    import numpy as np
    from scipy.special import factorial, hyp1f1

    points = np.arange(int(_LARGE / _STEP) + 2)[:, None] * _STEP
    orders = n + np.arange(_TERMS)
    values = np.exp(-points) * hyp1f1(1.0, orders + 1.5, points) / (2 * orders + 1)
    with torch.inference_mode(False):  # it is kept for callers who differentiate
        return torch.as_tensor(values / factorial(np.arange(_TERMS)), dtype=dtype, device=device)
