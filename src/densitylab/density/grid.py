"""Quadrature: atom-centred grids for numbers that are reported, uniform grids for comparison and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from densitylab.density.box import Box
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Grid:
    """``points`` (P, 3) in bohr and ``weights`` (P,) in bohr³."""

    points: Tensor
    weights: Tensor

    def integrate(self, values: Tensor) -> Tensor:
        """∫ f dr from values (P,)."""
        return self.weights @ values


def atom_centered(atoms: Atoms, level: int = 2) -> Grid:
    """Becke's partition of Treutler-Ahlrichs × Lebedev grids (PySCF). Levels 1 and 2 give ε to 1 % of itself; 0 … 9."""
    from pyscf import dft, gto

    positions = atoms.positions * ANGSTROM_TO_BOHR
    anything = {symbol: [[0, [1.0, 1.0]]] for symbol in set(atoms.symbols)}  # the grid does not depend on the basis
    mole = gto.M(
        atom=list(zip(atoms.symbols, positions, strict=True)),
        unit="Bohr",
        basis=anything,
        spin=None,
        verbose=0,
    )
    grids = dft.gen_grid.Grids(mole)
    grids.level = level
    grids.build(with_non0tab=False)
    return Grid(torch.as_tensor(grids.coords), torch.as_tensor(grids.weights))


def uniform(atoms: Atoms, spacing_angstrom: float = 0.1, margin_angstrom: float = 3.0) -> Grid:
    """The box grid of Rackers 2023. It integrates cusps badly: for comparison with the paper only."""
    spacing, margin = spacing_angstrom * ANGSTROM_TO_BOHR, margin_angstrom * ANGSTROM_TO_BOHR
    points = Box.around(torch.as_tensor(atoms.positions * ANGSTROM_TO_BOHR), spacing, margin).points()
    return Grid(points, torch.full((len(points),), spacing**3, dtype=torch.float64))
