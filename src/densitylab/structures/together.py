"""Several recipes as one."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from densitylab.structures.check import StructureError


def together(parts: dict[str, Any]) -> list[Atoms]:
    """The structures of all parts, one after the other; every part is a recipe with its own ``_target_``.

    A dictionary, so that one part can be changed by its name: ``structures.parts.dimers.seed=7``.

    Raises
    ------
    StructureError
        A group that two parts share: a split by group would not keep them apart.
    """
    owners: dict[str, str] = {}
    for name, structures in parts.items():
        for group in {atoms.info["group"] for atoms in structures}:
            if owners.setdefault(group, name) != name:
                raise StructureError(f"{owners[group]} and {name} share the group {group}: give them other seeds")
    return [atoms for structures in parts.values() for atoms in structures]
