"""Potential, field and its gradient of whole molecules, against PySCF and by hand."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from densitylab.density import Density, Nuclei
from densitylab.density.electrostatics import hellmann_feynman, nuclear_potential, total_potential
from densitylab.density.moments import traceless_octupole, traceless_quadrupole
from tests.density import molecules
from tests.density.molecules import electronic_potential, random_molecule, single, with_functions_anywhere
from tests.density.reference import CHECK, double, random_points, relative, tiny


def expected_potential(density, points, derivative):
    return molecules.nuclear_potential(density, points, derivative) - electronic_potential(density, points, derivative)


def methods(density, points):
    return [density.potential(points), density.field(points), density.field_gradient(points)]


@pytest.mark.parametrize("scale", [1, 3, 10, 100])
@pytest.mark.parametrize("seed", range(3))
def test_potential_field_and_its_gradient_equal_pyscf(seed, scale):
    """Inside the molecule, at its border, and where its atoms are multipoles."""
    density, points = with_functions_anywhere(seed), scale * random_points(seed, 40)
    for derivative, (sign, found) in enumerate(zip([1, -1, 1], methods(density, points), strict=True)):
        expected = expected_potential(density, points, derivative)
        assert relative(sign * found, expected) < 1e-9  # rounding: a point may be close to a nucleus
        assert torch.equal(sign * found, total_potential(density, points, derivative))
        found = nuclear_potential(density.nuclei, points, derivative)
        assert relative(found, molecules.nuclear_potential(density, points, derivative)) < 1e-12  # eight terms


def test_points_together_equal_points_one_by_one():
    """A point by itself is far from most atoms and shells; together, some point is close to each."""
    density = with_functions_anywhere(8)
    points = torch.cat([random_points(8, 15), 4 * random_points(9, 15)])
    points = torch.cat([away_from_nuclei(density, points), density.nuclei.positions])
    alone = zip(*(methods(density, point[None]) for point in points), strict=True)
    for together, parts in zip(methods(density, points), alone, strict=True):
        assert relative(together, torch.cat(parts)) < 1e-11  # ten times the tolerance of a multipole


@pytest.mark.parametrize("seed", range(3))
def test_at_a_nucleus_that_nucleus_is_left_out(seed):
    density = random_molecule(seed)
    points = density.nuclei.positions
    for derivative, (sign, found) in enumerate(zip([1, -1, 1], methods(density, points), strict=True)):
        # largest numbers are those of the electrons at a nucleus: rounding of about a hundred terms
        assert relative(sign * found, expected_potential(density, points, derivative)) < 1e-9


def away_from_nuclei(density, points):
    return points[torch.cdist(points, density.nuclei.positions).amin(1) > 0.5]


def differences(function, points, step=1e-3):
    """(P, …, 3) derivatives by central differences of fourth order."""
    slopes = []
    for axis in step * torch.eye(3, dtype=torch.float64):
        near, far = (function(points + k * axis) - function(points - k * axis) for k in (1, 2))
        slopes.append((8 * near - far) / (12 * step))
    return torch.stack(slopes, dim=-1)


def test_each_is_the_derivative_of_the_last():
    """E = −∇V, its gradient is ∂²V = −∂E; and ∇ρ and ∇²ρ likewise."""
    density = random_molecule(3)
    points = away_from_nuclei(density, random_points(3, 60))
    # 1e-7: the fifth derivative of functions with exponents up to 20, times the step to the fourth power over 30
    assert relative(-density.field(points), differences(density.potential, points)) < 1e-7
    assert relative(-density.field_gradient(points), differences(density.field, points)) < 1e-7
    smooth = Density(density.centers, 0.1 * density.exponents, density.l, density.coefficients, density.nuclei)
    assert relative(smooth.gradient(points), differences(smooth.values, points)) < 1e-7
    divergence = differences(smooth.gradient, points).diagonal(dim1=1, dim2=2).sum(-1)
    assert relative(smooth.laplacian(points), divergence) < 1e-7


def test_poissons_equation():
    """∇²V = 4πρ (electrons are negative), also at a nucleus without the nucleus."""
    density = random_molecule(4)
    points = torch.cat([away_from_nuclei(density, random_points(4, 60)), density.nuclei.positions])
    tensor = density.field_gradient(points)
    # of the largest element, most of which is traceless
    error = tensor.diagonal(dim1=1, dim2=2).sum(-1) - 4 * math.pi * density.values(points)
    assert error.abs().max() < 1e-10 * tensor.abs().max()
    assert relative(tensor.transpose(1, 2), tensor) < 1e-12


def test_far_away_a_neutral_molecule_is_its_multipoles():
    """V = d·n/R² + n·Θ·n/R³ + n·Ω·n·n/R⁴ + …, each term a hundredth of the one before at 500 bohr."""
    density = random_molecule(5, neutral=True)
    points = 500 * torch.nn.functional.normalize(random_points(5, 30), dim=1)
    n, r = points / 500, 500.0
    assert abs(float(density.charge())) < 1e-12
    terms = [
        n @ density.dipole() / r**2,
        torch.einsum("ij,pi,pj->p", traceless_quadrupole(density.quadrupole()), n, n) / r**3,
        torch.einsum("ijk,pi,pj,pk->p", traceless_octupole(density.octupole()), n, n, n) / r**4,
    ]
    found = density.potential(points)
    errors = [relative(sum(terms[: k + 1]), found) for k in range(3)]
    assert errors[0] < 0.05
    assert errors[1] < 2e-3
    assert errors[2] < 5e-5  # the hexadecapole
    assert errors[2] < errors[1] / 5 < errors[0] / 25  # each term is right, and needed


def test_single_precision_follows_double():
    density = random_molecule(6)
    points = away_from_nuclei(density, random_points(6, 60))
    for found, expected in zip(methods(single(density), points.float()), methods(density, points), strict=True):
        assert found.dtype == torch.float32
        assert relative(found, expected) < 1e-4  # seven digits; Boys' function and sums of large terms lose two


def test_no_points():
    none = torch.zeros(0, 3, dtype=torch.float64)
    assert [m.shape for m in methods(random_molecule(0), none)] == [(0,), (0, 3), (0, 3, 3)]


def test_potentials_differentiate():
    """In centres, exponents, coefficients, nuclei and points, also in a nucleus that is left out."""
    variables, l = tiny()
    nuclei = double([0.1, 0.2, 0.3], [1.0, -0.5, 0.2]).requires_grad_()
    points = (3 * random_points(6, 2)).requires_grad_()

    def observables(centers, exponents, coefficients, positions, where):
        density = Density(centers, exponents, l, coefficients, Nuclei(positions, double(8, 1)))
        return *methods(density, where), hellmann_feynman(density)

    assert gradcheck(observables, [*variables, nuclei, points], **CHECK)
