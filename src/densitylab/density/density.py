"""``Density``: an electron density as a sum of Gaussian functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from densitylab.density.at_points import evaluate, evaluate_by_degree
from densitylab.density.shells import Shells
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.density.basis import GaussianBasis


@dataclass(frozen=True)
class Nuclei:
    """Point charges: ``positions`` (A, 3) in bohr, ``charges`` (A,) in e (Z, or less under a pseudopotential)."""

    positions: Tensor
    charges: Tensor

    @classmethod
    def from_atoms(cls, atoms: Atoms, dtype: torch.dtype = torch.float64) -> Nuclei:
        """Nuclei of a structure in Å."""
        positions = torch.as_tensor(atoms.positions * ANGSTROM_TO_BOHR, dtype=dtype)
        return cls(positions, torch.as_tensor(atoms.numbers, dtype=dtype))


@dataclass(frozen=True)
class Density:
    """ρ(r) = Σ c_k φ_k(r) in e/bohr³, with the nuclei it belongs to.

    Every shell has a centre and an exponent of its own, so atoms, bonds and learned exponents are all the same thing.
    Functions are L2-normalised, m = −l … +l (:class:`~densitylab.density.shells.Shells`). Densities form a vector
    space: ``a + b``, ``a - b`` and ``s * a`` are densities, and every observable is linear or bilinear in the
    coefficients and differentiable.

    Attributes
    ----------
    centers: (S, 3), bohr.
    exponents: (S,), bohr⁻².
    l: (S,).
    coefficients: (F,), F = Σ(2l + 1).
    nuclei: positions and charges of the nuclei; a sum keeps those of its first term.

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """

    centers: Tensor
    exponents: Tensor
    l: Tensor
    coefficients: Tensor
    nuclei: Nuclei

    def __post_init__(self) -> None:
        if self.coefficients.shape != (self.shells.size,):
            raise ValueError(
                f"{self.shells.size} functions need as many coefficients, got {tuple(self.coefficients.shape)}"
            )

    @classmethod
    def from_basis(cls, basis: GaussianBasis, atoms: Atoms, coefficients: Tensor) -> Density:
        """Density in an atom-centred basis: ``coefficients`` (F,) atom by atom, l ascending, m = −l … +l."""
        shells = basis.shells(atoms, coefficients.dtype)
        return cls(shells.centers, shells.exponents, shells.l, coefficients, Nuclei.from_atoms(atoms))

    @property
    def shells(self) -> Shells:
        """The functions without their coefficients."""
        return Shells(self.centers, self.exponents, self.l)

    def values(self, points: Tensor) -> Tensor:
        """ρ at ``points`` (P, 3) in bohr: (P,), e/bohr³."""
        return evaluate(self.shells, self.coefficients, points)

    def values_by_degree(self, points: Tensor) -> Tensor:
        """ρ at ``points`` (P, 3) in bohr, the functions of every l by themselves: (P, l_max + 1), e/bohr³."""
        return evaluate_by_degree(self.shells, self.coefficients, points)

    def electrons(self) -> Tensor:
        """∫ρ dr, a scalar in e."""
        return self.shells.charges() @ self.coefficients

    def charge(self) -> Tensor:
        """Total charge, Σ Z − ∫ρ dr, a scalar in e."""
        return self.nuclei.charges.sum() - self.electrons()

    def dipole(self) -> Tensor:
        """Dipole moment about the origin, Σ Z R − ∫ρ r dr: (3,), e·bohr. Depends on the origin for ions."""
        return self.nuclei.charges @ self.nuclei.positions - self.coefficients @ self.shells.first_moments()

    def with_coefficients(self, coefficients: Tensor) -> Density:
        """The same functions with other coefficients (F,)."""
        return replace(self, coefficients=coefficients)

    def __add__(self, other: Density) -> Density:
        return Density(
            torch.cat([self.centers, other.centers]),
            torch.cat([self.exponents, other.exponents]),
            torch.cat([self.l, other.l]),
            torch.cat([self.coefficients, other.coefficients]),
            self.nuclei,
        )

    def __sub__(self, other: Density) -> Density:
        return self + (-1.0) * other

    def __rmul__(self, factor: float) -> Density:
        return self.with_coefficients(factor * self.coefficients)
