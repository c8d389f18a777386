"""Double-stranded DNA from a sequence: the ideal B-form, and snapshots of its thermal motion."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from densitylab.structures.dna_dynamics import dna_atoms, trajectory, with_hydrogens
from densitylab.structures.dna_fibre import check_sequence, fibre


def from_sequence(sequence: str) -> list[Atoms]:
    """The ideal B-DNA duplex of a sequence (5' to 3', letters A, C, G, T), with all hydrogens.

    Heavy atoms from the fibre model (:func:`~densitylab.structures.dna_fibre.fibre`): 10 base pairs per turn, 3.38 Å
    apart; hydrogens where amber14/OL15 has its minimum with the heavy atoms held. Ends are 5'-OH and 3'-OH, so n base
    pairs have 2(n − 1) phosphates, each of charge −1. One structure, in Å; ``info["size"]`` = number of base pairs.

    Raises
    ------
    StructureError
        The sequence is empty or has another letter; the message names letter and position.
    """
    sequence = check_sequence(sequence)
    return [_duplex(*with_hydrogens(*fibre(sequence)), group=f"dna-{sequence}")]


def thermal(
    sequence: str,
    trajectories: int = 1,
    snapshots: int = 4,
    seed: int = 0,
    temperature_K: float = 300.0,
    equilibration_ps: float = 2.0,
    interval_ps: float = 0.5,
) -> list[Atoms]:
    """Snapshots of a duplex in motion: amber14/OL15, implicit water, see :mod:`densitylab.structures.dna_dynamics`.

    Parameters
    ----------
    sequence: 5' to 3', as for :func:`from_sequence`.
    trajectories: number of independent trajectories; each is one ``group`` of a split.
    snapshots: taken from each trajectory, every ``interval_ps`` after ``equilibration_ps``.
    seed: trajectory ``t`` uses ``seed + t``.

    Returns
    -------
    list of ``trajectories * snapshots`` structures in Å. The same for the same seed on the same machine; across
    machines molecular dynamics is not bit-reproducible.
    """
    runs = [
        move(check_sequence(sequence), number, snapshots, temperature_K, equilibration_ps, interval_ps)
        for number in range(seed, seed + trajectories)
    ]
    return [_duplex(run.topology, frame, run.group) for run in runs for frame in run.frames]


class Motion(NamedTuple):
    """An OpenMM topology, snapshots of (A, 3) positions in Å, and the name of their trajectory."""

    topology: Any
    frames: list[np.ndarray]
    group: str


def move(
    sequence: str, seed: int, snapshots: int, temperature_K: float, equilibration_ps: float, interval_ps: float
) -> Motion:
    """One trajectory of a duplex from its ideal form; arguments as for :func:`thermal`."""
    topology, start = with_hydrogens(*fibre(sequence))
    frames = trajectory(topology, start, seed, snapshots, temperature_K, equilibration_ps, interval_ps)
    return Motion(topology, frames, f"dna-{temperature_K:g}K-{sequence}-{seed}")


def _duplex(topology: Any, positions: np.ndarray, group: str) -> Atoms:
    atoms = dna_atoms(topology, positions, group)
    atoms.info["size"] = topology.getNumResidues() // 2
    return atoms
