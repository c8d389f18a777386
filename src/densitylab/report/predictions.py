"""Predicted densities as files that other programs read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase.io
import h5py
import numpy as np
import torch
from ase import Atoms

from densitylab.density import Density, Nuclei
from densitylab.density.box import Box, write_cube
from densitylab.density.multipoles import atomic_multipoles
from densitylab.density.surface import Isosurface
from densitylab.files import write_atomically
from densitylab.units import BOHR_TO_ANGSTROM

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARGIN = 6.0  # bohr around the nuclei in a cube
_ARRAYS = {
    "centers": "bohr", "exponents": "bohr^-2", "l": "1", "coefficients": "e^1 bohr^-1.5",
    "nuclear_positions": "bohr", "nuclear_charges": "e",
}  # fmt: skip


def annotated(atoms: Atoms, density: Density, marks: Sequence[str] = ()) -> Atoms:
    """Copy with ``charges`` (e, about every nucleus), ``dipole`` (e·Å), and what was ``never_seen``."""
    atoms = atoms.copy()
    atoms.set_array("charges", atomic_multipoles(density).charges.cpu().double().numpy())
    atoms.info["dipole"] = density.dipole().cpu().double().numpy() * BOHR_TO_ANGSTROM
    if marks:
        atoms.info["never_seen"] = ", ".join(marks)
    return atoms


def write_frames(file: Path, frames: list[Atoms]) -> None:
    """Extended XYZ of what :func:`annotated` made."""
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    write_atomically(file, text.getvalue())


def add_density(archive: h5py.File, name: str, density: Density, attributes: dict[str, Any] | None = None) -> None:
    """Write a density into an open HDF5 file, as group ``name``; every array carries its unit."""
    group = archive.create_group(name)
    group.attrs.update(attributes or {})
    nuclei = density.nuclei
    values = [density.centers, density.exponents, density.l, density.coefficients, nuclei.positions, nuclei.charges]
    for (key, unit), value in zip(_ARRAYS.items(), values, strict=True):
        group.create_dataset(key, data=value.detach().cpu().numpy()).attrs["unit"] = unit


def read_density(file: str | Path, name: str = "0") -> Density:
    """What :func:`add_density` wrote. Raises ``KeyError`` if there is no such group, ``OSError`` without the file."""
    with h5py.File(file) as archive:
        centers, exponents, l, coefficients, *nuclei = (torch.as_tensor(archive[name][key][()]) for key in _ARRAYS)
    return Density(centers, exponents, l, coefficients, Nuclei(*nuclei))


def write_density_cube(file: Path, density: Density, spacing: float) -> None:
    """ρ in e/bohr³ on a box of points ``spacing`` (bohr) apart, 6 bohr beyond the nuclei."""
    box = Box.around(density.nuclei.positions, spacing, _MARGIN)
    write_cube(
        file, density.values(box.points().to(density.centers)), box, density.nuclei, "electron density, e/bohr^3"
    )


def write_ply(file: Path, surface: Isosurface, potential: torch.Tensor) -> None:
    """Triangles in Å; at every vertex the potential (V,) in hartree/e and a colour, red negative, blue positive."""
    from matplotlib import colormaps

    values = potential.detach().cpu().numpy()
    colors = (255 * colormaps["RdBu"](0.5 + 0.5 * values / max(np.abs(values).max(), 1e-12))[:, :3]).astype(int)
    vertices = surface.vertices.cpu().numpy() * BOHR_TO_ANGSTROM
    head = ["ply", "format ascii 1.0", "comment densitylab: angstrom; potential in hartree/e"]
    head += [f"element vertex {len(vertices)}", *(f"property float {name}" for name in ("x", "y", "z", "potential"))]
    head += [f"property uchar {name}" for name in ("red", "green", "blue")]
    head += [f"element face {len(surface.faces)}", "property list uchar int vertex_indices", "end_header"]
    points = np.column_stack([vertices, values]).round(6).tolist()
    lines = [" ".join(map(str, row + color)) for row, color in zip(points, colors.tolist(), strict=True)]
    lines += [f"3 {a} {b} {c}" for a, b, c in surface.faces.tolist()]
    write_atomically(file, "\n".join([*head, *lines, ""]))


def draw_surface(file: Path, surface: Isosurface, potential: torch.Tensor, title: str) -> None:
    """PNG of the surface, coloured by the potential (V,) in hartree/e, with its scale."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import CenteredNorm
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

    triangles = surface.vertices[surface.faces].cpu().numpy() * BOHR_TO_ANGSTROM
    values = potential.detach().cpu()[surface.faces].mean(1).numpy()
    shade = ScalarMappable(CenteredNorm(halfrange=np.abs(values).max()), colormaps["RdBu"])
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d")
    axes.add_collection3d(Poly3DCollection(triangles, facecolors=shade.to_rgba(values), shade=True, antialiased=False))
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]), title=title)
    axes.set(xlabel="x / Å", ylabel="y / Å", zlabel="z / Å")
    axes.set_box_aspect(high - low)
    figure.colorbar(shade, ax=axes, shrink=0.7, label="potential / (hartree/e)")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    write_atomically(file, png.getvalue())
