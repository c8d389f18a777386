"""Whether a structure is made of what a network has been trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from densitylab.structures import StructureError
from densitylab.structures.environments import environments

if TYPE_CHECKING:
    from ase import Atoms


class UnfamiliarError(StructureError):
    """A structure with chemistry that the network has never seen; the message names it."""


@dataclass(frozen=True)
class Familiar:
    """What the structures of a training set were made of.

    Attributes
    ----------
    environments: of atoms, as :func:`densitylab.structures.environments.environments` writes them.
    charges: total charges, e.
    """

    environments: frozenset[str]
    charges: frozenset[int]

    @classmethod
    def of(cls, structures: Iterable[Atoms]) -> Familiar:
        """What these structures are made of."""
        found, charges = set[str](), set[int]()
        for atoms in structures:
            found.update(environments(atoms))
            charges.add(int(atoms.info["charge"]))
        return cls(frozenset(found), frozenset(charges))

    def strange(self, atoms: Atoms) -> list[str]:
        """What of a structure is not among it, a few words each; nothing for a structure like those of the training."""
        unknown: dict[str, list[int]] = {}
        for index, environment in enumerate(environments(atoms)):
            if environment not in self.environments:
                unknown.setdefault(environment, []).append(index)
        words = [f"{name} (atom {where[0]}{_more(where)})" for name, where in unknown.items()]
        charge = int(atoms.info["charge"])
        return words if charge in self.charges else [*words, f"charge {charge:+d}"]

    def describe(self) -> dict[str, Any]:
        """Plain data that :meth:`from_description` reads back."""
        return {"environments": sorted(self.environments), "charges": sorted(self.charges)}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Familiar:
        """Inverse of :meth:`describe`."""
        return cls(frozenset(description["environments"]), frozenset(map(int, description["charges"])))


def _more(where: list[int]) -> str:
    return f" and {len(where) - 1} more" if len(where) > 1 else ""
