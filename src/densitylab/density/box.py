"""Regular grids of points in a box along the axes, and cube files on them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from densitylab.files import write_atomically

if TYPE_CHECKING:
    from densitylab.density.nuclei import Nuclei


@dataclass(frozen=True)
class Box:
    """Points ``origin`` + ``spacing`` (i, j, k) for i, j, k below ``shape``; bohr."""

    origin: tuple[float, float, float]
    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, positions: Tensor, spacing: float, margin: float) -> Box:
        """Around ``positions`` (A, 3) with ``margin`` on every side, to half a spacing; all in bohr."""
        if not spacing > 0:
            raise ValueError(f"spacing must be positive, not {spacing}")
        low, high = positions.detach().cpu().amin(0) - margin, positions.detach().cpu().amax(0) + margin
        counts = ((high - low) / spacing).round().long() + 1
        x, y, z = low.tolist()
        i, j, k = counts.tolist()
        return cls((x, y, z), spacing, (i, j, k))

    def points(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """(P, 3), the last axis running fastest, bohr."""
        pairs = zip(self.origin, self.shape, strict=True)
        return torch.cartesian_prod(*(start + self.spacing * torch.arange(n, dtype=dtype) for start, n in pairs))


def write_cube(file: Path, values: Tensor, box: Box, nuclei: Nuclei, comment: str = "densitylab") -> None:
    """Write ``values`` (P,) on the points of a box as a Gaussian cube file (bohr): whole, or not at all.

    Raises
    ------
    ValueError
        If there are not as many values as points.
    OSError
        If the file cannot be written.
    """
    if len(values) != math.prod(box.shape):
        raise ValueError(f"{len(values)} values for {math.prod(box.shape)} points")
    steps = torch.eye(3) * box.spacing
    head = [(comment.splitlines() or [""])[0], "OUTER LOOP: X, MIDDLE LOOP: Y, INNER LOOP: Z"]
    head += [_row(len(nuclei.charges), box.origin)]
    head += [_row(n, step.tolist()) for n, step in zip(box.shape, steps, strict=True)]
    atoms = zip(nuclei.charges.tolist(), nuclei.positions.tolist(), strict=True)
    head += [_row(round(charge), [charge, *position]) for charge, position in atoms]
    z = box.shape[2]
    lines = "".join("%13.5E" * min(6, z - start) + "\n" for start in range(0, z, 6))  # six in a line, each z run anew
    rows = values.detach().cpu().double().reshape(-1, z).numpy()
    write_atomically(file, "\n".join(head) + "\n" + "".join(lines % tuple(row) for row in rows))


def _row(number: int, values: Iterable[float]) -> str:
    return f"{number:5d}" + "".join(f"{value:12.6f}" for value in values)
