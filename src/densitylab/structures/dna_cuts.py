"""Which atoms of a duplex make a base, a nucleotide, a pair, a stack ..., and how the bonds to the rest are capped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from densitylab.errors import did_you_mean
from densitylab.structures.check import StructureError
from densitylab.structures.dna_dynamics import charged
from densitylab.structures.dna_fibre import COMPLEMENT

# The only bonds that are cut, (atom that stays, atom that goes), and the length in Å of the bond to the hydrogen that
# is put in the direction of the other: amber's own for such hydrogens, W. D. Cornell et al., JACS 117, 5179 (1995).
CAPPED_BONDS = {
    ("N9", "C1'"): 1.01,
    ("N1", "C1'"): 1.01,
    ("O5'", "P"): 0.96,
    ("O3'", "P"): 0.96,
    ("O3'", "C3'"): 0.96,
    ("C3'", "C2'"): 1.09,
    ("C3'", "C4'"): 1.09,
    ("C5'", "C4'"): 1.09,
}
# The ten base-pair steps that are different, as in Lee 2022; the other six are these read along the other strand.
STEPS = ("AT", "TA", "AA", "CA", "GT", "CT", "GA", "CG", "GC", "GG")


class Piece(NamedTuple):
    """Part of the nucleotide ``steps`` further towards 3', or of the one paired with that one.

    ``atoms``: names of atoms, or the names of groups of atoms: base, sugar (O5' and O3' included), phosphate.
    """

    steps: int
    atoms: tuple[str, ...]
    paired: bool = False


_BASE = ("base",)
_NUCLEOSIDE = ("base", "sugar")
_NUCLEOTIDE = ("base", "sugar", "phosphate")

KINDS: dict[str, tuple[Piece, ...]] = {
    "base": (Piece(0, _BASE),),
    "nucleoside": (Piece(0, _NUCLEOSIDE),),
    "nucleotide": (Piece(0, _NUCLEOTIDE), Piece(-1, ("O3'",))),  # the 5'-monophosphate, HO-PO2(-)-O5'
    "phosphate": (  # dimethyl phosphate
        Piece(0, ("phosphate", "O5'", "C5'", "H5'", "H5''")),
        Piece(-1, ("O3'", "C3'", "H3'")),
    ),
    "pair": (Piece(0, _BASE), Piece(0, _BASE, paired=True)),
    "stack": (Piece(0, _BASE), Piece(1, _BASE)),
    "dinucleotide": (Piece(0, _NUCLEOSIDE), Piece(1, _NUCLEOTIDE)),
    "stacked_pairs": tuple(Piece(steps, _BASE, paired) for steps in (0, 1) for paired in (False, True)),
    "step": (
        Piece(0, _NUCLEOSIDE),
        Piece(1, _NUCLEOTIDE),
        Piece(1, _NUCLEOSIDE, paired=True),
        Piece(0, _NUCLEOTIDE, paired=True),
    ),
}


def label(kind: str, sequence: str, place: int) -> str | None:
    """``"base:A"``, ``"stack:CA"`` ...; None where the strand has no fragment of this kind.

    ``place`` counts nucleotides of ``sequence``, the strand, from 0. The first and the last base pair of a duplex fray,
    and take no part in any fragment; a fragment of two strands is read along one of them only.

    Raises
    ------
    StructureError
        There is no such kind.
    """
    if kind not in KINDS:
        raise StructureError(f"no fragment is called {kind!r}{did_you_mean(kind, KINDS)}; there are {', '.join(KINDS)}")
    steps = [piece.steps for piece in KINDS[kind]]
    if place + min(steps) < 1 or place + max(steps) > len(sequence) - 2:
        return None
    letters = sequence[place : place + max(steps) + 1]
    if kind == "phosphate":
        return kind
    if kind == "pair":
        return f"pair:{letters}{COMPLEMENT[letters]}" if letters in "AG" else None
    if kind in ("step", "stacked_pairs") and letters not in STEPS:
        return None
    return f"{kind}:{letters}"


def cut(topology: Any, positions: np.ndarray, kind: str, strand: int, place: int, group: str) -> Atoms:
    """The fragment of a duplex, capped with hydrogen: charge −1 per phosphate, singlet.

    ``topology``: OpenMM's, of two strands of equal length, each 5' to 3'; ``positions``: (A, 3) in Å; ``strand``: 0 or
    1; ``place``: as in :func:`label`. The hydrogens of the caps follow the atoms that were there.

    Raises
    ------
    ValueError
        A bond would be cut that is not among ``CAPPED_BONDS``.
    StructureError
        See :func:`~densitylab.structures.check`: an odd number of electrons, for one.
    """
    chosen = set(_chosen(topology, kind, strand, place))
    kept = [atom for atom in topology.atoms() if atom in chosen]
    atoms = Atoms([atom.element.atomic_number for atom in kept], positions[[atom.index for atom in kept]])
    for one, two in topology.bonds():
        if (one in chosen) != (two in chosen):
            atoms += _cap(*((one, two) if one in chosen else (two, one)), positions)
    return charged(atoms, group)


def _chosen(topology: Any, kind: str, strand: int, place: int) -> Iterator[Any]:
    strands = [list(chain.residues()) for chain in topology.chains()]
    for steps, names, paired in KINDS[kind]:
        number = place + steps
        nucleotide = strands[1 - strand][-1 - number] if paired else strands[strand][number]
        yield from (atom for atom in nucleotide.atoms() if atom.name in names or _part(atom.name) in names)


def _part(name: str) -> str:
    if name in ("P", "OP1", "OP2"):
        return "phosphate"
    return "sugar" if "'" in name else "base"


def _cap(stays: Any, goes: Any, positions: np.ndarray) -> Atoms:
    if (stays.name, goes.name) not in CAPPED_BONDS:
        raise ValueError(f"the bond {stays.name}-{goes.name} is not one that is cut")
    origin, end = positions[stays.index], positions[goes.index]
    direction = (end - origin) / np.linalg.norm(end - origin)
    return Atoms("H", positions=[origin + CAPPED_BONDS[stays.name, goes.name] * direction])
