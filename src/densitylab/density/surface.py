"""Surfaces of equal density: the shape of a molecule, and where its electrostatic potential is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from densitylab.density.box import Box
from densitylab.density.density import Density

_MARGINS = (4.0, 6.0, 9.0, 13.5, 20.0)  # bohr around the nuclei, as far as it takes


@dataclass(frozen=True)
class Isosurface:
    """Triangles ``faces`` (T, 3) between ``vertices`` (V, 3) in bohr, oriented outwards."""

    vertices: Tensor
    faces: Tensor

    def area(self) -> float:
        """bohr²."""
        a, b, c = self.vertices[self.faces].unbind(1)
        return 0.5 * float(torch.linalg.cross(b - a, c - a).norm(dim=1).sum())

    def volume(self) -> float:
        """Of what is inside, bohr³ (the divergence theorem)."""
        a, b, c = self.vertices[self.faces].unbind(1)
        return float((a * torch.linalg.cross(b, c)).sum()) / 6


def isosurface(density: Density, level: float = 0.002, spacing: float = 0.3) -> Isosurface:
    """Where ρ = ``level`` (e/bohr³): marching cubes with cubes of ``spacing`` (bohr), then a step of Newton's.

    Raises
    ------
    ValueError
        If ρ does not fall to the level around the molecule, or does not reach it anywhere.
    """
    from skimage.measure import marching_cubes

    if not (level > 0 and spacing > 0):
        raise ValueError(f"level and spacing must be positive, not {level} and {spacing}")
    box, values = _box(density, level, spacing)
    if not bool((values > level).any()):
        raise ValueError(f"the density does not reach {level} e/bohr³ on points {spacing} bohr apart")
    vertices, faces, _, _ = marching_cubes(values.reshape(box.shape).cpu().numpy(), level, gradient_direction="ascent")
    found = torch.as_tensor(vertices.copy()).to(density.centers) * spacing + density.centers.new_tensor(box.origin)
    return Isosurface(_refined(density, level, found, spacing), torch.as_tensor(faces.astype("int64")))


def esp_rms(first: Density, second: Density, level: float = 0.002, spacing: float = 0.3) -> float:
    """RMS difference of two potentials on the surface where ``second`` is ``level`` (e/bohr³), hartree/e.

    As Rackers 2023 measure it: over the vertices of the surface of the reference.
    """
    points = isosurface(second, level, spacing).vertices
    return float((first.potential(points) - second.potential(points)).square().mean().sqrt())


def _box(density: Density, level: float, spacing: float) -> tuple[Box, Tensor]:
    """A box on whose faces ρ is below the level, and ρ (P,) on its points."""
    for margin in _MARGINS:
        box = Box.around(density.nuclei.positions, spacing, margin)
        values = density.values(box.points().to(density.centers)).detach()
        cube = values.reshape(box.shape)
        faces = [side.max() for axis in range(3) for side in (cube.select(axis, 0), cube.select(axis, -1))]
        if float(torch.stack(faces).max()) < level:
            return box, values
    raise ValueError(f"the density is above {level} e/bohr³ even {_MARGINS[-1]} bohr away from the nuclei")


def _refined(density: Density, level: float, vertices: Tensor, spacing: float) -> Tensor:
    """Moved along the gradient to where ρ is the level, by half a cube at most."""
    slope = density.gradient(vertices).detach()
    missing = level - density.values(vertices).detach()
    step = (missing / slope.square().sum(1).clamp(min=torch.finfo(slope.dtype).tiny))[:, None] * slope
    return vertices + step * (0.5 * spacing / step.norm(dim=1, keepdim=True)).clamp(max=1.0)
