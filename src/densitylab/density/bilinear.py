"""Numbers that are bilinear in two sets of coefficients: Coulomb energy and overlap of two densities.

Differentiable in coefficients, once in centres, not in exponents. Matrices are made in blocks of rows, so memory is
bounded; work grows with the product of the numbers of functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densitylab.density.conventions import standard_from_shells
from densitylab.density.integrals import as_mole, in_pyscf_order
from densitylab.density.shells import Shells

_ROWS = 500  # shells at a time
_DERIVATIVES = {"int2c2e": "int2c2e_ip1", "int1e_ovlp": "int1e_ipovlp"}


def coulomb_energy(bra: Shells, first: Tensor, ket: Shells, second: Tensor) -> Tensor:
    """Scalar Σ a_k b_l ∬ φ_k(r) φ_l(r') / |r − r'| dr dr', hartree, of coefficients ``first`` and ``second``."""
    return first @ _apply("int2c2e", bra, ket, second)


def overlap_integral(bra: Shells, first: Tensor, ket: Shells, second: Tensor) -> Tensor:
    """Scalar Σ a_k b_l ∫ φ_k φ_l dr, e²/bohr³."""
    return first @ _apply("int1e_ovlp", bra, ket, second)


def _apply(integral: str, bra: Shells, ket: Shells, vector: Tensor) -> Tensor:
    """(F,) integrals of every function of ``bra`` with Σ b_l φ_l."""
    if bra.exponents.requires_grad or ket.exponents.requires_grad:
        raise ValueError("Coulomb energies and overlaps have no derivatives in exponents; detach them")
    result: Tensor = _Applied.apply(bra.centers, ket.centers, vector, bra, ket, integral)
    return result


class _Applied(torch.autograd.Function):
    """The matrix of a symmetric kernel times a vector; its derivative in the vector is of the same kind."""

    @staticmethod
    def forward(ctx: Any, _: Tensor, __: Tensor, vector: Tensor, bra: Shells, ket: Shells, integral: str) -> Tensor:
        ctx.save_for_backward(vector)
        ctx.of = bra, ket, integral
        return _product(integral, bra, ket, vector)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (vector,), (bra, ket, integral), needs = ctx.saved_tensors, ctx.of, ctx.needs_input_grad
        weights = gradients[0]
        return (
            _Slope.apply(weights, vector, bra, ket, integral) if needs[0] else None,
            _Slope.apply(vector, weights, ket, bra, integral) if needs[1] else None,
            _Applied.apply(ket.centers, bra.centers, weights, ket, bra, integral) if needs[2] else None,
            None, None, None,
        )  # fmt: skip


class _Slope(torch.autograd.Function):
    """(S, 3) derivative with respect to the centres of ``bra``: minus that of the electron's coordinate."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, bra: Shells, ket: Shells, integral: str) -> Tensor:
        per_function = -first * _product(_DERIVATIVES[integral], bra, ket, second)
        owner = torch.repeat_interleave(torch.arange(len(bra.l), device=bra.l.device), 2 * bra.l + 1)
        return torch.zeros_like(bra.centers).index_add(0, owner, per_function.T.to(bra.centers))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError("Coulomb energies and overlaps have one derivative in centres, not two")


def _product(integral: str, bra: Shells, ket: Shells, vector: Tensor) -> Tensor:
    """(components, F) integrals of every function of ``bra`` with Σ b_l φ_l."""
    from pyscf import gto

    right, weights, parts = as_mole(ket), in_pyscf_order(ket, vector), []
    for block in _blocks(bra) if bra.size and ket.size else ():
        matrix = gto.intor_cross(integral, as_mole(block), right)
        rows = standard_from_shells("pyscf", block.l.cpu().numpy())
        parts.append((matrix @ weights).reshape(-1, block.size)[:, rows])
    return torch.as_tensor(np.concatenate(parts, axis=1)).to(vector) if parts else vector.new_zeros(3, bra.size)


def _blocks(shells: Shells) -> Iterator[Shells]:
    for start in range(0, len(shells.l), _ROWS):
        part = slice(start, start + _ROWS)
        yield Shells(shells.centers[part], shells.exponents[part], shells.l[part])
