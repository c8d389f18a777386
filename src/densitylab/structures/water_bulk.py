"""Droplets and boxes of liquid water of any size, cut from a periodic box that is repeated in space."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms

from densitylab.structures.check import prepare, within
from densitylab.structures.water import frames

LARGEST = 100_000


def bulk_water(
    size: int, shape: Literal["droplet", "box"] = "droplet", temperature_K: float | None = None, seed: int = 0
) -> list[Atoms]:
    """One piece of liquid water of exactly ``size`` molecules, for inference: a ball, or a cube, in vacuum.

    Parameters
    ----------
    size: molecules, 1 to 100 000. They are those nearest to the centre, nearest first; for a box, in the largest of
        the three coordinates.
    temperature_K: ``None`` repeats OpenMM's pre-equilibrated box (30 Å, 895 rigid TIP3P molecules, 300 K), in seconds.
        A number repeats a box of 216 flexible molecules after dynamics of its own (half a minute): thermally
        distorted, as in ``liquid_clusters``.
    seed: of the place of the centre in the periodic box, and of the dynamics.

    Returns
    -------
    a list of one neutral singlet structure, positions in Å about the centre, ``info["size"]`` = number of molecules.
    What is repeated is repeated exactly: beyond the box, environments recur.

    Raises
    ------
    StructureError
        A size or temperature out of range.
    """
    within("size", size, 1, LARGEST)
    positions, box = _openmm_box() if temperature_K is None else next(frames(seed, temperature_K=temperature_K))
    centre = np.random.default_rng(seed).uniform(0, box)
    chosen = repeat(positions, box, size, centre, np.inf if shape == "box" else 2)
    atoms = Atoms(np.tile([8, 1, 1], size), chosen.reshape(-1, 3), info={"size": size})
    return [prepare(atoms, charge=0, multiplicity=1, group=f"water-{shape}-{size}-{seed}")]


def repeat(positions: np.ndarray, box: np.ndarray, size: int, centre: np.ndarray, order: float = 2) -> np.ndarray:
    """The ``size`` molecules nearest to ``centre`` in the periodic lattice of a box.

    ``positions``: (molecules, 3 atoms O H H, 3), molecules whole; ``box``: (3,) edges; ``centre``: (3,); ``order`` of
    the norm: 2 a ball, infinity a cube. Returns (size, 3, 3) about the centre, nearest first. All in Å.
    """
    oxygen = positions[:, 0] - centre
    whole = positions - centre - (box * np.round(oxygen / box))[:, None]  # oxygens in the cell around the centre
    # Half the edge of a cube that surely holds them: a ball of that volume fits into a cube of twice its radius.
    reach = 0.5 * (6 / np.pi * 1.2 * size / len(positions) * box.prod()) ** (1 / 3) + box.max() / 2
    tiles = [np.arange(-k, k + 1) for k in np.ceil((reach - box / 2).clip(0) / box).astype(int)]
    shifts = np.stack(np.meshgrid(*tiles, indexing="ij"), axis=-1).reshape(-1, 1, 3) * box
    distances = np.linalg.norm(whole[:, 0] + shifts, ord=order, axis=-1).ravel()
    nearest = np.argsort(distances, kind="stable")[:size]
    tile, molecule = np.divmod(nearest, len(positions))
    return np.asarray(whole[molecule] + shifts[tile])


def _openmm_box() -> tuple[np.ndarray, np.ndarray]:
    """Positions (895, 3, 3) and edges (3,), in Å."""
    from openmm import app, unit

    file = app.PDBFile(str(Path(app.__file__).parent / "data" / "tip3p.pdb"))
    positions = file.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    box = np.diag(file.topology.getPeriodicBoxVectors().value_in_unit(unit.angstrom))
    return positions.reshape(-1, 3, 3), box
