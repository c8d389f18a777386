"""Numbers that are bilinear in two sets of coefficients: Coulomb energy and overlap of two densities.

Differentiable, once, in coefficients and centres (not in exponents). Matrices are made in blocks of rows: memory is
bounded, work grows with the product of the numbers of functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from densitylab.density.conventions import standard_from_shells
from densitylab.density.integrals import as_mole
from densitylab.density.shells import Shells

_ROWS = 500  # shells at a time
_DERIVATIVES = {"int2c2e": "int2c2e_ip1", "int1e_ovlp": "int1e_ipovlp"}


def coulomb_energy(bra: Shells, first: Tensor, ket: Shells, second: Tensor) -> Tensor:
    """Scalar Σ a_k b_l ∬ φ_k(r) φ_l(r') / |r − r'| dr dr', hartree, of coefficients ``first`` and ``second``."""
    result: Tensor = _Bilinear.apply(bra.centers, first, ket.centers, second, bra, ket, "int2c2e")
    return result


def overlap_integral(bra: Shells, first: Tensor, ket: Shells, second: Tensor) -> Tensor:
    """Scalar Σ a_k b_l ∫ φ_k φ_l dr, e²/bohr³."""
    result: Tensor = _Bilinear.apply(bra.centers, first, ket.centers, second, bra, ket, "int1e_ovlp")
    return result


class _Bilinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, _: Tensor, first: Tensor, __: Tensor, second: Tensor, bra: Shells, ket: Shells, integral: str
    ) -> Tensor:
        image = _product(integral, bra, ket, second)[0]
        ctx.save_for_backward(first, second, image)
        ctx.of = bra, ket, integral
        return first @ image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (first, second, image), (bra, ket, integral) = ctx.saved_tensors, ctx.of
        needs, scale = ctx.needs_input_grad, gradients[0]
        return (
            scale * _force(integral, bra, first, ket, second) if needs[0] else None,
            scale * image,
            scale * _force(integral, ket, second, bra, first) if needs[2] else None,
            scale * _product(integral, ket, bra, first)[0] if needs[3] else None,
            None, None, None,
        )  # fmt: skip


def _force(integral: str, bra: Shells, first: Tensor, ket: Shells, second: Tensor) -> Tensor:
    """(S, 3) derivative with respect to the centres of ``bra``: minus that of the electron's coordinate."""
    per_function = -first * _product(_DERIVATIVES[integral], bra, ket, second)
    owner = torch.repeat_interleave(torch.arange(len(bra.l), device=bra.l.device), 2 * bra.l + 1)
    return torch.zeros_like(bra.centers).index_add(0, owner, per_function.T.to(bra.centers))


def _product(integral: str, bra: Shells, ket: Shells, vector: Tensor) -> Tensor:
    """(components, F) integrals of every function of ``bra`` with Σ b_l φ_l."""
    from pyscf import gto

    right = as_mole(ket)
    columns = standard_from_shells("pyscf", ket.l.cpu().numpy())
    weights = np.empty(ket.size)
    weights[columns] = vector.detach().cpu().double().numpy()
    parts = []
    for block in _blocks(bra):
        matrix = gto.intor_cross(integral, as_mole(block), right)
        rows = standard_from_shells("pyscf", block.l.cpu().numpy())
        parts.append((matrix @ weights).reshape(-1, block.size)[:, rows])
    return torch.as_tensor(np.concatenate(parts, axis=1)).to(vector)


def _blocks(shells: Shells) -> Iterator[Shells]:
    for start in range(0, max(1, len(shells.l)), _ROWS):
        part = slice(start, start + _ROWS)
        yield Shells(shells.centers[part], shells.exponents[part], shells.l[part])
