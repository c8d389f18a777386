"""How different two densities are."""

from __future__ import annotations

from torch import Tensor

from densitylab.density.grid import Grid


def epsilon(first: Tensor, second: Tensor, grid: Grid, electrons: float) -> float:
    """ε = 100 · ∫|ρ₁ − ρ₂| dr / N_el in percent, from values (P,) in e/bohr³ on the grid's points.

    Raises
    ------
    ValueError
        If the values do not belong to this grid.
    """
    if first.shape != second.shape or first.shape != grid.weights.shape:
        raise ValueError(f"values {tuple(first.shape)} and {tuple(second.shape)} on {len(grid.weights)} points")
    return 100.0 * float(grid.integrate((first - second).abs())) / electrons
