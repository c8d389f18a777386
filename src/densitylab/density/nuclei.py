"""Nuclei of a density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms


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

    def to_atoms(self) -> Atoms:
        """The structure, Å. Charges that are not whole numbers (pseudopotentials) are rounded: it is for pictures."""
        from ase import Atoms

        numbers = self.charges.detach().cpu().round().long().numpy()
        return Atoms(numbers, positions=self.positions.detach().cpu().double().numpy() / ANGSTROM_TO_BOHR)
