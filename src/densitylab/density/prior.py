"""The prior ρ⁰: frozen, spherical atoms, superposed (SAD). A network learns what is left, Δρ = ρ − ρ⁰."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from densitylab.density.basis import BasisError
from densitylab.density.density import Density
from densitylab.density.nuclei import Nuclei
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Prior:
    """Spherical atoms as sums of s-functions.

    Attributes
    ----------
    name: how the atoms were made, e.g. ``SAD PBE0/aug-cc-pVTZ``; ``none`` for no prior.
    atoms: symbol → ((exponent in bohr⁻², coefficient of the L2-normalised s-function), …).
    """

    name: str
    atoms: Mapping[str, tuple[tuple[float, float], ...]]

    @classmethod
    def none(cls) -> Prior:
        """The empty prior: Δρ is ρ itself."""
        return cls("none", {})

    @cached_property
    def hash(self) -> str:
        """Content hash, independent of the name."""
        return hashlib.sha256(json.dumps(dict(self.atoms), sort_keys=True).encode()).hexdigest()[:16]

    def density(self, atoms: Atoms, dtype: torch.dtype = torch.float64) -> Density:
        """ρ⁰ of a structure. Raises :class:`~densitylab.density.basis.BasisError` for an element it lacks."""
        per_atom = [self._of(symbol) for symbol in atoms.symbols]
        counts = torch.tensor([len(terms) for terms in per_atom])
        positions = torch.as_tensor(atoms.positions * ANGSTROM_TO_BOHR, dtype=dtype)
        flat = torch.tensor([term for terms in per_atom for term in terms], dtype=dtype).reshape(-1, 2)
        return Density(
            torch.repeat_interleave(positions, counts, dim=0),
            flat[:, 0],
            torch.zeros(len(flat), dtype=torch.long),
            flat[:, 1],
            Nuclei.from_atoms(atoms, dtype),
        )

    def missing(self, symbol: str) -> float:
        """Electrons of the neutral atom that the prior does not hold: 0 for SAD, Z without a prior."""
        from ase import Atoms
        from ase.data import atomic_numbers

        return atomic_numbers[symbol] - float(self.density(Atoms(symbol)).electrons())

    def describe(self) -> dict[str, Any]:
        """Plain data that :meth:`from_description` reads back."""
        return {"name": self.name, "atoms": {s: [list(t) for t in terms] for s, terms in self.atoms.items()}}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Prior:
        """Inverse of :meth:`describe`."""
        return cls(description["name"], {s: tuple(map(tuple, t)) for s, t in description["atoms"].items()})

    def _of(self, symbol: str) -> tuple[tuple[float, float], ...]:
        if self.name != "none" and symbol not in self.atoms:
            raise BasisError(f"prior {self.name} has no atom {symbol} (it has {', '.join(self.atoms)})")
        return self.atoms.get(symbol, ())
