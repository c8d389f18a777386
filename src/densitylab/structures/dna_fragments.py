"""Fragments of DNA to train on, cut from duplexes in thermal motion."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from ase import Atoms

from densitylab.structures.check import StructureError
from densitylab.structures.dna import Motion, move
from densitylab.structures.dna_cuts import cut, label
from densitylab.structures.dna_fibre import check_sequence, partner


class _Place(NamedTuple):
    """Where a fragment can be cut: from which snapshot, strand and nucleotide, and what it is called."""

    frame: int
    strand: int
    number: int
    label: str


def thermal_fragments(
    sequences: list[str],
    kinds: dict[str, int],
    trajectories: int = 1,
    snapshots: int = 4,
    seed: int = 0,
    temperature_K: float = 300.0,
    equilibration_ps: float = 2.0,
    interval_ps: float = 0.5,
) -> list[Atoms]:
    """Capped fragments of duplexes in motion, as in Lee 2022, and smaller ones that a laptop can label.

    Parameters
    ----------
    sequences: duplexes, 5' to 3'; the outermost base pairs fray and are never part of a fragment.
    kinds: how many fragments of each kind (:data:`~densitylab.structures.dna_cuts.KINDS`) to cut from every
        trajectory. Of the sorts of a kind (``base:A``, ``base:C`` ...) the one drawn least often comes next.
    trajectories: of each sequence; each is one ``group`` of a split.
    snapshots, interval_ps, equilibration_ps, temperature_K: as for :func:`~densitylab.structures.dna.thermal`.
    seed: trajectory ``t``, counted over all sequences, uses ``seed + t`` for its motion and for what is drawn from it.

    Returns
    -------
    list of structures in Å, charge −1 per phosphate, singlets, ``info["fragment"]`` = kind and letters, 5' to 3'.

    Raises
    ------
    StructureError
        A bad sequence, an unknown kind, or more fragments of a kind than a trajectory has.
    """
    duplexes = [check_sequence(sequence) for sequence in sequences] * trajectories
    for sequence in duplexes:
        _check_supply(sequence, kinds, snapshots)
    fragments: list[Atoms] = []
    drawn = Counter[str]()
    for number, sequence in enumerate(duplexes, start=seed):
        motion = move(sequence, number, snapshots, temperature_K, equilibration_ps, interval_ps)
        rng = np.random.default_rng(number)
        for kind, wanted in kinds.items():
            chosen = _draw(_places(sequence, kind, snapshots), wanted, drawn, rng)
            fragments += [_cut(motion, kind, place) for place in chosen]
    return fragments


def _cut(motion: Motion, kind: str, place: _Place) -> Atoms:
    positions = motion.frames[place.frame]
    atoms = cut(motion.topology, positions, kind, place.strand, place.number, motion.group)
    atoms.info["fragment"] = place.label
    return atoms


def _places(sequence: str, kind: str, snapshots: int) -> list[_Place]:
    return [
        _Place(frame, strand, number, name)
        for strand, letters in enumerate((sequence, partner(sequence)))
        for number in range(len(letters))
        for frame in range(snapshots)
        if (name := label(kind, letters, number))
    ]


def _check_supply(sequence: str, kinds: dict[str, int], snapshots: int) -> None:
    """Before hours of dynamics, not after."""
    for kind, wanted in kinds.items():
        supply = len(_places(sequence, kind, snapshots))
        if wanted > supply:
            raise StructureError(
                f"{snapshots} snapshots of {sequence} hold {supply} fragments of kind {kind!r} away from the ends, "
                f"not {wanted}"
            )


def _draw(places: list[_Place], wanted: int, drawn: Counter[str], rng: np.random.Generator) -> list[_Place]:
    """``wanted`` different places, the label that was drawn least often first, ties by chance; counts them."""
    pool = [places[index] for index in rng.permutation(len(places))]
    chosen = []
    for _ in range(wanted):
        chosen.append(pool.pop(min(range(len(pool)), key=lambda index: drawn[pool[index].label])))
        drawn[chosen[-1].label] += 1
    return chosen
