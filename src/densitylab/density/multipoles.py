"""Multipoles of molecules and of the atoms in them: nuclei and electrons together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from densitylab.density.moments import RANKS, own_moments, point_moments, translated

if TYPE_CHECKING:
    from densitylab.density.density import Density


@dataclass(frozen=True)
class Multipoles:
    """Of every atom about its nucleus, full (not traceless).

    Attributes
    ----------
    charges: (A,), e.
    dipoles: (A, 3), e·bohr.
    quadrupoles: (A, 3, 3), e·bohr².
    octupoles: (A, 3, 3, 3), e·bohr³.
    """

    charges: Tensor
    dipoles: Tensor
    quadrupoles: Tensor
    octupoles: Tensor


def total_moments(density: Density, origin: Tensor | None = None, ranks: int = RANKS) -> list[Tensor]:
    """Charge (), dipole (3,), quadrupole (3, 3) and octupole (3, 3, 3) about ``origin`` (3,), by default (0, 0, 0).

    The first ``ranks`` of them: the higher ones take most of the memory.
    """
    origin = density.centers.new_zeros(3) if origin is None else origin
    electrons = translated(own_moments(density.shells, density.coefficients, ranks), density.centers - origin)
    nuclei = point_moments(density.nuclei.charges, density.nuclei.positions - origin, ranks)
    return [positive.sum(0) - negative.sum(0) for positive, negative in zip(nuclei, electrons, strict=True)]


def atomic_multipoles(density: Density) -> Multipoles:
    """What the functions of every atom (:meth:`Density.owners`) and its nucleus hold.

    Functions overlap, so this is one partition among many, as Mulliken's is: it adds up to the moments of the molecule
    exactly, and single numbers change with the basis.
    """
    owner, nuclei = density.owners(), density.nuclei
    own = translated(own_moments(density.shells, density.coefficients), density.centers - nuclei.positions[owner])
    negative = [nuclei.charges.new_zeros(len(nuclei.charges), *m.shape[1:]).index_add(0, owner, m) for m in own]
    return Multipoles(nuclei.charges - negative[0], *(-moment for moment in negative[1:]))
