"""``Density``: an electron density as a sum of Gaussian functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from densitylab.density.at_points import evaluate, evaluate_by_degree, gradient, laplacian
from densitylab.density.electrostatics import total_potential
from densitylab.density.multipoles import total_moments
from densitylab.density.nuclei import Nuclei
from densitylab.density.shells import Shells

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.density.basis import GaussianBasis


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
        return cls(
            shells.centers, shells.exponents, shells.l, coefficients, Nuclei.from_atoms(atoms, coefficients.dtype)
        )

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

    def gradient(self, points: Tensor) -> Tensor:
        """∇ρ at ``points`` (P, 3) in bohr: (P, 3), e/bohr⁴."""
        return gradient(self.shells, self.coefficients, points)

    def laplacian(self, points: Tensor) -> Tensor:
        """∇²ρ at ``points`` (P, 3) in bohr: (P,), e/bohr⁵."""
        return laplacian(self.shells, self.coefficients, points)

    def potential(self, points: Tensor) -> Tensor:
        """Electrostatic potential of nuclei and electrons at ``points`` (P, 3) in bohr: (P,), hartree/e.

        At a nucleus that nucleus is left out; also of the next two.
        """
        return total_potential(self, points)

    def field(self, points: Tensor) -> Tensor:
        """Electric field −∇V at ``points`` (P, 3) in bohr: (P, 3), hartree/(e·bohr)."""
        return -total_potential(self, points, derivative=1)

    def field_gradient(self, points: Tensor) -> Tensor:
        """∂²V/∂x_i∂x_j (minus the derivative of the field): (P, 3, 3), hartree/(e·bohr²). Its trace is 4πρ."""
        return total_potential(self, points, derivative=2)

    def charge(self) -> Tensor:
        """Total charge, Σ Z − ∫ρ dr, a scalar in e."""
        return self.nuclei.charges.sum() - self.electrons()

    def dipole(self, origin: Tensor | None = None) -> Tensor:
        """Dipole moment Σ Z R − ∫ρ r dr about ``origin`` (3,) in bohr, by default (0, 0, 0): (3,), e·bohr.

        It depends on the origin for ions; higher moments do for every molecule that has lower ones.
        """
        return total_moments(self, origin, ranks=2)[1]

    def quadrupole(self, origin: Tensor | None = None) -> Tensor:
        """Σ Z R⊗R − ∫ρ r⊗r dr: (3, 3), e·bohr². In Buckingham's form: :func:`~.moments.traceless_quadrupole`."""
        return total_moments(self, origin, ranks=3)[2]

    def octupole(self, origin: Tensor | None = None) -> Tensor:
        """Σ Z R⊗R⊗R − ∫ρ r⊗r⊗r dr: (3, 3, 3), e·bohr³. Likewise: :func:`~.moments.traceless_octupole`."""
        return total_moments(self, origin)[3]

    def to_pyscf_guess(self, mole: Any) -> np.ndarray:
        """Initial density matrix for PySCF: :func:`densitylab.density.guess.initial_guess`."""
        from densitylab.density.guess import initial_guess

        return initial_guess(self, mole)

    def owners(self) -> Tensor:
        """(S,) the nucleus closest to each shell: whose functions they are (of two as close, any one)."""
        tree = cKDTree(self.nuclei.positions.detach().cpu().numpy())
        return torch.as_tensor(tree.query(self.centers.detach().cpu().numpy())[1], device=self.l.device)

    def of_atoms(self, chosen: Tensor, owner: Tensor | None = None) -> Density:
        """Functions and nuclei of the atoms ``chosen`` (A,) bool. ``owner``: :meth:`owners`, if that is known."""
        if chosen.dtype != torch.bool:
            raise ValueError(f"atoms are chosen by a mask of bool, not of {chosen.dtype}")
        shells = chosen[self.owners() if owner is None else owner]
        functions = torch.repeat_interleave(shells, 2 * self.l + 1)
        nuclei = Nuclei(self.nuclei.positions[chosen], self.nuclei.charges[chosen])
        own = self.centers[shells], self.exponents[shells], self.l[shells]
        return Density(*own, self.coefficients[functions], nuclei)

    def join(self, other: Density) -> Density:
        """Functions *and nuclei* of two molecules; a sum, ``a + b``, keeps the nuclei of its first term only."""
        pairs = zip(vars(self.nuclei).values(), vars(other.nuclei).values(), strict=True)
        return replace(self + other, nuclei=Nuclei(*map(torch.cat, pairs)))

    def to(self, target: torch.device | torch.dtype | str) -> Density:
        """On another device, or in another floating-point type."""
        centers, exponents, coefficients = (x.to(target) for x in (self.centers, self.exponents, self.coefficients))
        l = self.l if isinstance(target, torch.dtype) else self.l.to(target)
        nuclei = Nuclei(self.nuclei.positions.to(target), self.nuclei.charges.to(target))
        return Density(centers, exponents, l, coefficients, nuclei)

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
