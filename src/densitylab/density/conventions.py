"""Orders of the 2l + 1 functions of a shell, in PySCF, psi4, molden and e3nn. They stand here and nowhere else.

densitylab's own order is m = −l … +l of the standard real solid harmonics (m < 0: sine, m > 0: cosine; p = y, z, x).
Functions differ between programs by order only, not by sign or norm (shared/FACTS.md §1.1), once every function is
L2-normalised.

e3nn's basis *is* this order if positions are fed as (y, z, x): use :data:`E3NN_AXES` on Cartesian columns.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Order = Literal["standard", "e3nn", "pyscf", "psi4", "molden"]

E3NN_AXES = [1, 2, 0]
"""``positions[..., E3NN_AXES]`` are the coordinates that e3nn has to see."""


def standard_from(order: Order, l: int) -> np.ndarray:
    """Index array p, (2l + 1,), such that ``c_standard = c_other[p]`` for one shell.

    Raises
    ------
    ValueError
        For an order that is not one of the five.
    """
    m_values = _m_values(order, l)
    return np.array([m_values.index(m) for m in range(-l, l + 1)])


def standard_from_shells(order: Order, ls: np.ndarray) -> np.ndarray:
    """Index array p, (Σ(2l + 1),), such that ``c_standard = c_other[p]`` for consecutive shells of degrees ``ls``."""
    starts = np.concatenate([[0], np.cumsum(2 * np.asarray(ls, dtype=int) + 1)])
    parts = [start + standard_from(order, int(l)) for start, l in zip(starts, ls, strict=False)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=int)


def _m_values(order: Order, l: int) -> list[int]:
    ascending = list(range(-l, l + 1))
    outward = [0] + [sign * m for m in range(1, l + 1) for sign in (1, -1)]  # 0, +1, −1, +2, −2 …
    cartesian_p = [1, -1, 0]  # x, y, z
    match order:
        case "standard" | "e3nn":
            return ascending
        case "pyscf":
            return cartesian_p if l == 1 else ascending
        case "psi4":
            return outward
        case "molden":
            return cartesian_p if l == 1 else outward
    raise ValueError(f"unknown order {order!r}; known: standard, e3nn, pyscf, psi4, molden")
