"""What a structure must be before anything expensive is done with it."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

# Nothing chemical is closer: H-H in H2 is 0.74 Å, the shortest X-H about 0.9 Å.
CLOSEST_APPROACH_ANGSTROM = 0.4


class StructureError(ValueError):
    """A structure that cannot be what its author meant; the message names the atoms or numbers that show it."""


def electrons(atoms: Atoms) -> int:
    """Number of electrons, Σ Z − charge."""
    return int(atoms.numbers.sum()) - int(atoms.info["charge"])


def prepare(
    atoms: Atoms, *, charge: int | None = None, multiplicity: int | None = None, group: str | None = None
) -> Atoms:
    """Checked copy of ``atoms`` whose ``info`` has charge (e), multiplicity (2S + 1) and group.

    Arguments win over what ``atoms.info`` already says. Without either, the charge is 0 and the multiplicity the
    lowest that the number of electrons allows. ``group`` names the trajectory or parent that the structure was cut
    from: data sets are split by it.

    Raises
    ------
    StructureError
        See :func:`check`.
    """
    atoms = atoms.copy()
    info = atoms.info
    info["charge"] = _integer("charge", charge if charge is not None else info.get("charge", 0))
    lowest = 1 + electrons(atoms) % 2
    given = multiplicity if multiplicity is not None else info.get("multiplicity", lowest)
    info["multiplicity"] = _integer("multiplicity", given)
    info["group"] = str(group if group is not None else info.get("group", atoms.get_chemical_formula()))
    check(atoms)
    return atoms


def _integer(name: str, value: object) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != value:
        raise StructureError(f"{name} must be a whole number, not {value}")
    return number


def within(name: str, value: float, lowest: float, highest: float) -> None:
    """Refuse, by :class:`StructureError`, an argument of a recipe that is out of its range (both ends allowed)."""
    if not lowest <= value <= highest:
        raise StructureError(f"{name} must be between {lowest:g} and {highest:g}, not {value}")


def check(atoms: Atoms) -> None:
    """Refuse structures that are empty, not finite, periodic, of unknown elements, colliding, or of odd spin.

    Raises
    ------
    StructureError
        One sentence that names what is wrong.
    """
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms")
    if not {"charge", "multiplicity"} <= set(atoms.info):
        raise StructureError("the structure has no charge or multiplicity in its info; see structures.prepare")
    if atoms.pbc.any():
        raise StructureError("the structure is periodic; periodic systems are not supported yet")
    if not np.isfinite(atoms.positions).all():
        bad = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise StructureError(f"atom {bad} ({atoms.symbols[bad]}) has a coordinate that is not a finite number")
    unknown = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(unknown):
        raise StructureError(f"atom {unknown[0]} is of an unknown element (number {atoms.numbers[unknown[0]]})")
    _check_distances(atoms)
    _check_spin(atoms)


def _check_distances(atoms: Atoms) -> None:
    from scipy.spatial import cKDTree

    pairs = cKDTree(atoms.positions).query_pairs(CLOSEST_APPROACH_ANGSTROM)
    if pairs:
        i, j = min(pairs)
        distance = float(np.linalg.norm(atoms.positions[i] - atoms.positions[j]))
        raise StructureError(
            f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are {distance:.3f} Å apart; "
            f"nothing chemical is closer than {CLOSEST_APPROACH_ANGSTROM} Å"
        )


def _check_spin(atoms: Atoms) -> None:
    number = electrons(atoms)
    multiplicity = atoms.info["multiplicity"]
    if number < 1:
        raise StructureError(f"charge {atoms.info['charge']:+d} leaves {number} electrons")
    if multiplicity < 1 or multiplicity - 1 > number or (number + multiplicity) % 2 == 0:
        raise StructureError(
            f"multiplicity {multiplicity} is impossible with {number} electrons (charge {atoms.info['charge']:+d})"
        )
