"""Normalised solid-harmonic Gaussian shells at arbitrary centres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from densitylab.density.conventions import E3NN_AXES


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
