"""A sheet of structures: shaded balls and sticks, without a display and without a chemistry toolkit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

from densitylab.files import write_atomically
from densitylab.structures.bonds import bonds

_BALL, _STICK = 0.45, 0.11  # radius of a ball in covalent radii, half width of a stick in Å
_MANY = 3000  # atoms, from which on they touch, balls are flat and sticks are left out
_FULL = 1.6  # radius of a ball in covalent radii there
_HAZE = 0.5  # how white the farthest atom is
_INK = np.array([0.25, 0.25, 0.25])
# Every ball is a stack of discs: radius and shift in radii of the ball, and how far its colour is from ink to white.
_DISCS = ((1.0, 0.0, -0.6), (0.93, 0.02, 0.0), (0.66, 0.16, 0.25), (0.36, 0.28, 0.6), (0.14, 0.34, 0.9))


def draw_sheet(structures: list[Atoms], titles: list[str], file: Path, columns: int = 4, dpi: int = 130) -> None:
    """Write a PNG with every structure in a panel of its own, each seen along its shortest axis, nearer atoms in front.

    Colours are Jmol's; what is far fades. A bar of a round number of Å under every panel gives its scale. 20 000 atoms
    take seconds.
    """
    from io import BytesIO

    from matplotlib.figure import Figure

    columns = max(1, min(columns, len(structures)))
    rows = -(-len(structures) // columns)
    edge = 3.2 if len(structures) > 1 else 6.4  # inches
    figure = Figure(figsize=(edge * columns, 1.03 * edge * rows), layout="constrained")
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.set_axis_off()
        if index < len(structures):
            _draw(axes, structures[index])
            axes.set_title(titles[index], fontsize=8)
    picture = BytesIO()
    figure.savefig(picture, dpi=dpi, format="png")
    write_atomically(file, picture.getvalue())


def _draw(axes: Any, atoms: Atoms) -> None:
    from matplotlib.collections import PolyCollection

    places, few = facing(atoms.positions), len(atoms) < _MANY
    radii = (_BALL if few else _FULL) * covalent_radii[atoms.numbers]
    distance = (places[:, 2].max() - places[:, 2]) / max(np.ptp(places[:, 2]), 8.0)
    tints = _lit(jmol_colors[atoms.numbers], _HAZE * distance[:, None])
    shapes, colors, depth = _balls(places, radii, tints, few)
    if few:
        more = _sticks(places, radii, bonds(atoms), tints)
        shapes, colors, depth = ([*a, *b] for a, b in zip((shapes, colors, depth), more, strict=True))
    order = np.argsort(depth, kind="stable")
    axes.add_collection(PolyCollection([shapes[i] for i in order], facecolors=np.array(colors)[order], linewidths=0))
    span = float(max(np.ptp(places[:, :2], axis=0).max(), 2.0)) + 2
    axes.set(xlim=(-0.5 * span, 0.5 * span), ylim=(-0.6 * span, 0.5 * span), aspect="equal")
    length = max(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if step <= 0.4 * span)
    axes.plot([-0.5 * length, 0.5 * length], [-0.54 * span] * 2, color=_INK, linewidth=1)
    axes.text(0, -0.55 * span, f"{length} Å", ha="center", va="top", fontsize=6)


def facing(positions: np.ndarray) -> np.ndarray:
    """(A, 3) positions about their middle: x along the longest axis of the structure, z, towards us, the shortest."""
    centred = positions - positions.mean(axis=0)
    axes = np.linalg.svd(centred.T @ centred)[0]
    axes[:, 2] *= np.sign(np.linalg.det(axes))  # a rotation: never the mirror image
    turned = centred @ axes
    return np.asarray(turned - (turned.max(axis=0) + turned.min(axis=0)) / 2)


def _balls(places: np.ndarray, radii: np.ndarray, colors: np.ndarray, shaded: bool) -> tuple[Any, Any, Any]:
    """Polygons, colours and depths of all discs of all atoms."""
    angles = np.linspace(0, 2 * np.pi, 28 if shaded else 10, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    shapes, tones, depth = [], [], []
    for level, (size, shift, light) in enumerate(_DISCS if shaded else _DISCS[:2]):
        middle = places[:, :2] + shift * radii[:, None] * [-0.7, 0.7]
        shapes += list(middle[:, None] + size * radii[:, None, None] * circle)
        tones += list(_lit(colors, light))
        depth += list(places[:, 2] + 1e-4 * level)
    return shapes, tones, depth


def _sticks(places: np.ndarray, radii: np.ndarray, pairs: np.ndarray, colors: np.ndarray) -> tuple[Any, Any, Any]:
    """Polygons, colours and depths of two halves per bond, each from its ball's surface and in its colour."""
    shapes, tones, depth = [], [], []
    for ends in (pairs, pairs[:, ::-1]):
        start, middle = places[ends[:, 0]], places[ends].mean(axis=1)
        inside = 0.9 * radii[ends[:, :1]] / np.linalg.norm(middle - start, axis=1)[:, None].clip(1e-6)
        start = start + inside.clip(max=1) * (middle - start)
        along = (middle - start)[:, :2]
        across = (
            _STICK * np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1)[:, None].clip(1e-6)
        )
        for width, light in ((1.0, -0.6), (0.75, -0.1)):
            a, b, w = start[:, :2], middle[:, :2], width * across
            shapes += list(np.stack([a - w, b - w, b + w, a + w], axis=1))
            tones += list(_lit(colors[ends[:, 0]], light))
            depth += list((start[:, 2] + middle[:, 2]) / 2 + 1e-4 * width * light)
    return shapes, tones, depth


def _lit(colors: np.ndarray, light: float | np.ndarray) -> np.ndarray:
    """Colours moved towards white, or, where ``light`` is negative, towards ink."""
    target = np.where(np.asarray(light) < 0, _INK, 1.0)
    return np.asarray(colors + np.abs(light) * (target - colors))
