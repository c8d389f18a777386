"""What chemistry a structure consists of: every atom's element and those of its bonded neighbours."""

from __future__ import annotations

from collections import defaultdict

from ase import Atoms

from densitylab.structures.bonds import bonds


def environments(atoms: Atoms) -> list[str]:
    """For every atom its element and, in brackets, those it is bonded to: ``O(HH)``, ``C(CHHO)``, ``Ar()``."""
    partners: dict[int, list[str]] = defaultdict(list)
    for first, second in bonds(atoms).tolist():
        partners[first].append(atoms.symbols[second])
        partners[second].append(atoms.symbols[first])
    return [f"{symbol}({''.join(sorted(partners[index]))})" for index, symbol in enumerate(atoms.symbols)]
