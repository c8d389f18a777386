"""Densities and potentials at points, against PySCF's own functions and integrals."""

import math

import numpy as np
import pytest
import torch
from pyscf import gto
from torch.autograd import gradcheck

from densitylab.density import Density, Nuclei, Shells
from densitylab.density.at_points import evaluate, gradient, laplacian, potential
from tests.density.reference import (
    ALL,
    CHECK,
    as_pyscf,
    double,
    random_density,
    random_points,
    random_shells,
    relative,
    tiny,
    to_standard,
)


@pytest.mark.parametrize("seed", range(3))
def test_values_equal_pyscf(seed):
    density = random_density(seed, ALL)
    points = random_points(seed)
    functions = as_pyscf(density.shells).eval_gto("GTOval_sph", points.numpy())[:, to_standard(ALL)]
    # 1e-10 of the largest value: sums of 72 terms in double precision, and nothing but rounding between them
    assert relative(density.values(points), functions @ density.coefficients.numpy()) < 1e-10


@pytest.mark.parametrize("l", range(7))
def test_every_single_function_equals_pyscf(l):
    shells = random_shells(l, [l])
    points = random_points(l, 50)
    found = torch.stack([evaluate(shells, row, points) for row in torch.eye(2 * l + 1, dtype=torch.float64)], dim=1)
    expected = as_pyscf(shells).eval_gto("GTOval_sph", points.numpy())[:, to_standard([l])]
    assert relative(found, expected) < 1e-12  # one term each


@pytest.mark.parametrize("tile", [1, 7, 200, 5000])
def test_values_do_not_depend_on_the_tile(tile):
    density, points = random_density(0, ALL), random_points(0)
    # 1e-14: a matrix product may sum in another order for another number of rows
    assert relative(evaluate(density.shells, density.coefficients, points, tile), density.values(points)) < 1e-14


def test_far_away_there_is_nothing():
    density = random_density(0, ALL)
    assert density.values(double([1e3, 0, 0], [1e6, -1e6, 1e6])).tolist() == [0, 0]


def test_no_points_no_values():
    assert random_density(0, ALL).values(torch.zeros(0, 3, dtype=torch.float64)).shape == (0,)


def test_float32_values_follow_float64():
    density, points = random_density(0, ALL), random_points(0)
    shells = Shells(density.centers.float(), density.exponents.float(), density.l)
    values = evaluate(shells, density.coefficients.float(), points.float())
    assert values.dtype == torch.float32
    # 1e-4: exp(-x) with x of order 1e2 loses two of single precision's seven digits, sums another
    assert relative(values, density.values(points)) < 1e-4


def test_values_differentiate_in_everything():
    variables, l = tiny()
    points = torch.as_tensor(np.random.default_rng(6).uniform(-1, 1, (4, 3))).requires_grad_()
    assert gradcheck(lambda c, a, k, p: evaluate(Shells(c, a, l), k, p), [*variables, points], **CHECK)


def test_gradient_at_a_centre_is_finite():
    variables, l = tiny()
    evaluate(Shells(variables[0], variables[1], l), variables[2], variables[0].detach()).sum().backward()
    assert all(torch.isfinite(variable.grad).all() for variable in variables)


def test_values_differentiate_in_the_position_of_an_atom():
    """Shells of one atom share its position; its gradient is the sum over them."""
    (_, exponents, coefficients), l = tiny((0, 0, 1, 1, 2))
    position = double(0.1, -0.2, 0.3).requires_grad_()
    points = random_points(0, 4)
    assert gradcheck(
        lambda r, a: evaluate(Shells(r.expand(5, 3), a, l), coefficients, points), [position, exponents], **CHECK
    )


def test_values_differentiate_in_centres_that_coincide():
    (_, exponents, coefficients), l = tiny((0, 0))
    centers = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    points = random_points(0, 4)
    assert gradcheck(lambda c: evaluate(Shells(c, exponents, l), coefficients, points), [centers], **CHECK)


def test_no_shells_no_density():
    empty = Shells(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert empty.size == 0
    assert evaluate(empty, torch.zeros(0), torch.ones(5, 3)).tolist() == [0] * 5
    assert empty.charges().shape == (0,)
    assert empty.first_moments().shape == (0, 3)


# -------------------------------------------------------------------------------------------------- more than values


def of_density(function, density, points, *more):
    return function(density.shells, density.coefficients, points, *more)


@pytest.mark.parametrize("seed", range(3))
def test_gradient_and_laplacian_equal_pyscf(seed):
    density, points = random_density(seed, ALL), random_points(seed)
    functions = as_pyscf(density.shells).eval_gto("GTOval_sph_deriv2", points.numpy())[:, :, to_standard(ALL)]
    expected = functions @ density.coefficients.numpy()  # value; x, y, z; xx, xy, xz, yy, yz, zz
    # 1e-10 as for the values: derivatives of tight functions cancel a little more
    assert relative(of_density(gradient, density, points), expected[1:4].T) < 1e-10
    assert relative(of_density(laplacian, density, points), expected[[4, 7, 9]].sum(0)) < 1e-10


def pyscf_potential(density, points, integral):
    """Integrals over point charges, (P, …): the first derivative is that of PySCF's functions, against the points'."""
    charges = gto.fakemol_for_charges(points.numpy())
    values = gto.intor_cross(integral, as_pyscf(density.shells), charges)
    return np.einsum("...fp,f->p...", values[..., to_standard(density.l), :], density.coefficients.numpy())


@pytest.mark.parametrize("distance", [1, 10, 100, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_potential_and_its_gradient_equal_pyscf(seed, distance):
    """Within the density, where it ends, and where its atoms are multipoles."""
    density, points = random_density(seed, ALL), distance * random_points(seed, 50)
    # 1e-11 of the largest: ten times the tolerance of a multipole
    assert relative(of_density(potential, density, points), pyscf_potential(density, points, "int2c2e")) < 1e-11
    field = pyscf_potential(density, points, "int2c2e_ip1")
    assert relative(of_density(potential, density, points, 1), field) < 1e-11


def test_potential_of_tight_shells_beside_diffuse_ones():
    """Tiles of points at all distances: a shell whose neighbours are still in reach may be a point already."""
    density = random_density(2, ALL)
    points = 20 * torch.rand(5000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 5
    found, expected = of_density(potential, density, points), pyscf_potential(density, points, "int2c2e")
    assert relative(found, expected) < 1e-11
    field = pyscf_potential(density, points, "int2c2e_ip1")
    assert relative(of_density(potential, density, points, 1), field) < 1e-11


@pytest.mark.parametrize("distance", [1, 10, 100])
def test_second_derivatives_are_those_of_the_first(distance):
    density, points = random_density(0, ALL), (distance * random_points(3, 20)).requires_grad_()
    first = of_density(potential, density, points, 1)
    rows = [torch.autograd.grad(component.sum(), points, retain_graph=True)[0] for component in first.T]
    second = of_density(potential, density, points.detach(), 2)
    assert relative(second, torch.stack(rows, dim=1)) < 1e-11
    if distance == 100:  # no charge there: Laplace's equation
        assert float(second.diagonal(dim1=1, dim2=2).sum(-1).abs().max() / second.abs().max()) < 1e-11


def test_second_derivatives_know_the_density():
    """Poisson's equation, ∇²V = −4πρ."""
    density, points = random_density(1, ALL), random_points(2)
    trace = of_density(potential, density, points, 2).diagonal(dim1=1, dim2=2).sum(-1)
    assert relative(trace, -4 * math.pi * density.values(points)) < 1e-10


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 1e-12])
def test_the_error_of_multipoles_is_the_stated_one(tolerance):
    """One function of every l by itself: nothing hides behind a larger term."""
    for l in range(7):
        shells = random_shells(0, [l], smallest=0.5, largest=0.6)
        coefficients = torch.ones(2 * l + 1, dtype=torch.float64)
        directions = torch.nn.functional.normalize(random_points(l, 100), dim=1)
        points = shells.centers + directions * torch.linspace(3, 15, 100, dtype=torch.float64)[:, None]
        exact = potential(shells, coefficients, points, tolerance=1e-15)
        error = (potential(shells, coefficients, points, tolerance=tolerance) - exact).abs() / exact.abs()
        assert float(error.max()) <= tolerance + 1e-13  # rounding


def test_a_hundred_thousand_far_atoms_cost_no_memory():
    """The block of a step is bounded, whatever the number of sites."""
    number = 100_000
    shells = Shells(1000 * torch.rand(number, 3), torch.full((number,), 0.5), torch.zeros(number, dtype=torch.long))
    assert torch.isfinite(potential(shells, torch.ones(number), torch.zeros(3, 3))).all()


def test_potentials_differentiate_in_everything():
    variables, l = tiny()
    points = (3 * random_points(6, 4)).requires_grad_()
    for derivative in (0, 1, 2):
        assert gradcheck(
            lambda c, a, k, p, n=derivative: potential(Shells(c, a, l), k, p, n), [*variables, points], **CHECK
        )


def test_gradient_and_laplacian_differentiate():
    variables, l = tiny()
    points = random_points(6, 4).requires_grad_()
    for function in (gradient, laplacian):
        assert gradcheck(lambda c, a, k, p, f=function: f(Shells(c, a, l), k, p), [*variables, points], **CHECK)


def test_far_molecules_are_added_exactly():
    """Together they give what each gives by itself, also where one of them is a set of multipoles."""
    first, second = random_density(0, ALL), random_density(1, ALL)
    moved = Density(
        second.centers + 94.5,
        second.exponents,
        second.l,
        second.coefficients,
        Nuclei(*map(torch.zeros, [(0, 3), (0,)])),
    )
    points = torch.cat([random_points(0), random_points(1) + 94.5])
    both = of_density(potential, first + moved, points)
    assert relative(both, of_density(potential, first, points) + of_density(potential, moved, points)) < 1e-12


def test_a_point_that_is_no_number_harms_no_other():
    density, points = random_density(0, ALL), random_points(0, 5)
    broken = points.clone()
    broken[2, 0] = float("nan")
    rest = [0, 1, 3, 4]
    for function in (evaluate, gradient, potential):
        found, expected = of_density(function, density, broken)[rest], of_density(function, density, points)[rest]
        assert relative(found, expected) < 1e-12  # screening differs, by less than rounding


@pytest.mark.parametrize("shape", [(3,), (1, 5, 3), (5, 2)])
def test_points_of_another_shape_are_refused(shape):
    density = random_density(0, ALL)
    for function in (density.values, density.gradient, density.laplacian, density.potential, density.field):
        with pytest.raises(ValueError, match=r"points must be \(P, 3\)"):
            function(torch.zeros(shape, dtype=torch.float64))
