"""The functions of an atom as Rackers' files list them, and how they become coefficients in a ``GaussianBasis``.

Their functions are C · N · S_lm · exp(−αr²) with Racah's solid harmonics S_lm; N is stored beside C with a sign of its
own, which psi4 took from the contraction coefficient of the original set (shared/FACTS.md §1.1). ρ needs the product:
the coefficient of our L2-normalised function is C · sign(N).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from densitylab.density import GaussianBasis
from densitylab.density.shells import norm
from densitylab.labels.level import LabelError

_SAME = 1e-5  # relative, for exponents and norms in float32
MOST_MISSING = 8  # atoms at the head of a file that are looked for


@dataclass(frozen=True)
class Shell:
    """2l + 1 functions of one exponent: coefficients in the order m = −l … +l, and the signed norm N of psi4."""

    l: int
    exponent: float
    norm: float
    coefficients: np.ndarray


Row = Sequence[Shell]
"""Everything on one atom."""


def belongs(row: Row, symbol: str, basis: GaussianBasis) -> bool:
    """Whether the functions of a row are those of an element."""
    ours, theirs = basis.of(symbol), sorted((shell.l, -shell.exponent) for shell in row)
    same = [l == other and math.isclose(a, -b, rel_tol=_SAME) for (l, a), (other, b) in zip(ours, theirs, strict=False)]
    return len(ours) == len(theirs) and all(same)


def first_row(rows: Sequence[Row], symbols: Sequence[str], basis: GaussianBasis) -> int:
    """Which row belongs to the first atom: 0 in a sound file, 2 in the public DNA set.

    Raises
    ------
    LabelError
        If rows and atoms do not belong together at any shift; the first atom that does not fit is named.
    """
    for shift in range(MOST_MISSING + 1):
        pairs = list(zip(rows[shift:], symbols, strict=False))
        complete = len(rows) == len(symbols) if shift == 0 else len(pairs) >= len(symbols) - shift
        if 2 * len(pairs) > len(symbols) and complete and all(belongs(row, symbol, basis) for row, symbol in pairs):
            return shift
    if len(rows) != len(symbols) and all(belongs(r, s, basis) for r, s in zip(rows, symbols, strict=False)):
        raise LabelError(f"{len(rows)} rows of functions for {len(symbols)} atoms")
    bad = next(i for i, (r, s) in enumerate(zip(rows, symbols, strict=False)) if not belongs(r, s, basis))
    raise LabelError(
        f"the functions of atom {bad} are not those of {symbols[bad]} in {basis.name}; "
        "name the basis of the file (basis=rackers2023 for the published sets)"
    )


def coefficients(row: Row) -> np.ndarray:
    """(F of the atom,) of L2-normalised functions, l ascending, exponents falling. Raises :class:`LabelError`."""
    ordered = sorted(row, key=lambda shell: (shell.l, -shell.exponent))
    for shell in ordered:
        if not math.isclose(abs(shell.norm), _racah_norm(shell.l, shell.exponent), rel_tol=10 * _SAME):
            raise LabelError(f"norm {shell.norm:.6g} of l = {shell.l}, exponent {shell.exponent:.6g} is not psi4's")
    return np.concatenate([np.sign(shell.norm) * shell.coefficients for shell in ordered])


def _racah_norm(l: int, exponent: float) -> float:
    """N of a function with S_lm = √(4π/(2l+1)) r^l Y_lm."""
    ours = norm(l, torch.tensor(exponent, dtype=torch.float64))
    return float(ours) * math.sqrt((2 * l + 1) / (4 * math.pi))
