"""Which products of feature and edge harmonic are taken, and their Clebsch-Gordan coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Paths:
    """Products l1 ⊗ l2 → l3 of features (l1 ≤ ``l_in``), edge harmonics (l2 ≤ ``l_edge``) and outputs (``l_out``).

    Natural parity only, (−1)^l everywhere: l1 + l2 + l3 is even. Such features are all that a density, which is a true
    scalar field, needs at first order; the odd products (cross products) are left out.
    """

    l_in: int
    l_edge: int
    l_out: int

    @cached_property
    def triples(self) -> tuple[tuple[int, int, int], ...]:
        """(l1, l2, l3), sorted."""
        return tuple(
            (l1, l2, l3)
            for l1 in range(self.l_in + 1)
            for l2 in range(self.l_edge + 1)
            for l3 in range(abs(l1 - l2), min(l1 + l2, self.l_out) + 1)
            if (l1 + l2 + l3) % 2 == 0
        )

    def coefficients(self, triple: tuple[int, int, int]) -> Tensor:
        """(2l1 + 1, 2l2 + 1, 2l3 + 1) real Clebsch-Gordan coefficients, float64.

        Normalised so that, for independent inputs of unit variance per component ("component" normalisation of e3nn)
        and unit-variance weights, every output component has unit variance over all paths that end in l3.
        """
        from e3nn import o3

        l3 = triple[2]
        fan_in = sum(other[2] == l3 for other in self.triples)
        return o3.wigner_3j(*triple, dtype=torch.float64) * math.sqrt((2 * l3 + 1) / fan_in)


def block(l: int) -> slice:
    """Where degree ``l`` stands among the components l = 0, 1, 2 …"""
    return slice(l * l, (l + 1) ** 2)
