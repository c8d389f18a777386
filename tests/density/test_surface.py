import math
from dataclasses import replace

import pytest
import torch

from densitylab.density import Density, Nuclei, Shells
from densitylab.density.shells import norm
from densitylab.density.surface import Isosurface, esp_rms, isosurface
from tests.density.reference import double


def ball(exponent: float = 0.5, charge: float = 8.0, center=(0.3, -0.2, 0.1)) -> Density:
    """One spherical Gaussian of so many electrons around a nucleus."""
    shells = Shells(double(center), double(exponent), torch.tensor([0]))
    return Density(*vars(shells).values(), charge / shells.charges(), Nuclei(double(center), double(charge)))


def radius(density: Density, level: float) -> float:
    height = float(density.coefficients[0] * norm(0, density.exponents)[0]) / math.sqrt(4 * math.pi)
    return math.sqrt(math.log(height / level) / float(density.exponents[0]))


@pytest.mark.parametrize("level", [0.0005, 0.002, 0.1])
def test_surface_of_a_ball(level):
    density = ball()
    exact = radius(density, level)
    surface = isosurface(density, level)
    distances = (surface.vertices - density.centers).norm(dim=1)
    # 1e-3: a step of Newton's from a quarter of a cube (0.3 bohr) away leaves its square times the curvature
    torch.testing.assert_close(distances, torch.full_like(distances, exact), rtol=1e-3, atol=0)
    # 2 %: flat triangles lie within the sphere; at 0.1 e/bohr³ their edges are a sixth of its radius
    assert surface.area() == pytest.approx(4 * math.pi * exact**2, rel=0.02)
    assert surface.volume() == pytest.approx(4 / 3 * math.pi * exact**3, rel=0.02)


def test_finer_cubes_come_closer():
    density = ball()
    volume = 4 / 3 * math.pi * radius(density, 0.002) ** 3
    errors = [abs(isosurface(density, spacing=spacing).volume() / volume - 1) for spacing in (0.6, 0.3, 0.15)]
    # flat faces: the error falls with the square of their size; 3 leaves room for the pattern of the cubes
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_two_molecules_have_two_surfaces():
    first, second = ball(), ball(center=(12.0, 0.0, 0.0))
    positions = torch.cat([first.nuclei.positions, second.nuclei.positions])
    together = replace(first + second, nuclei=Nuclei(positions, double(8, 8)))
    assert isosurface(together).volume() == pytest.approx(2 * isosurface(first).volume(), rel=0.01)


def test_a_diffuse_density_gets_a_larger_box():
    diffuse = ball(exponent=0.05)
    assert radius(diffuse, 1e-4) > 8  # beyond the first box
    volume = 4 / 3 * math.pi * radius(diffuse, 1e-4) ** 3
    assert isosurface(diffuse, 1e-4, 0.5).volume() == pytest.approx(volume, rel=0.01)


def test_what_has_no_surface_is_refused():
    with pytest.raises(ValueError, match="does not reach 100"):
        isosurface(ball(), 100.0)
    with pytest.raises(ValueError, match="even 20"):
        isosurface(ball(exponent=0.0005, charge=100.0), 1e-7, 2.0)


def test_a_cube_has_area_and_volume():
    corners = double(*[(x, y, z) for x in (0, 2) for y in (0, 2) for z in (0, 2)]) + 5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    cube = Isosurface(corners, torch.tensor([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]))
    assert cube.area() == pytest.approx(24)
    assert cube.volume() == pytest.approx(8)


def test_esp_rms_of_a_missing_charge():
    """The potentials of two balls with the same nucleus differ, outside, by that of the missing charge: q / r."""
    whole, less = ball(), ball(charge=7.9)
    less = replace(less, nuclei=whole.nuclei)
    # 1e-3 as for the radius; e^(−αr²) of the charge is inside
    assert esp_rms(less, whole) == pytest.approx(0.1 / radius(whole, 0.002), rel=1e-3)
    assert esp_rms(whole, whole) == 0
