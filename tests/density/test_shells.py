import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.autograd import gradcheck

from densitylab.density import Shells
from densitylab.density.shells import evaluate, norm
from tests.density.reference import (
    FLAT,
    as_pyscf,
    pyscf_mole,
    random_density,
    random_points,
    random_shells,
    relative,
    to_standard,
)

ALL = [3, 0, 6, 1, 1, 4, 0, 2, 5, 0, 2, 1]  # every l up to 6, in no order


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("l", range(7))
@pytest.mark.parametrize("alpha", [0.03, 1.7, 800.0])
def test_norm(l, alpha):
    """FACTS.md §1.1: N = sqrt(2^l (2α)^(l+3/2) / (π^(3/2) (2l-1)!!)) with Racah's harmonics, √(4π/(2l+1)) r^l Y_lm."""
    odd = math.prod(range(1, 2 * l, 2))
    racah = math.sqrt(2**l * (2 * alpha) ** (l + 1.5) / (math.pi**1.5 * odd))
    # 1e-13: a dozen roundings
    assert float(norm(l, double(alpha))[0]) == pytest.approx(racah * math.sqrt(4 * math.pi / (2 * l + 1)), rel=1e-13)


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


def test_no_shells_no_density():
    empty = Shells(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert empty.size == 0
    assert evaluate(empty, torch.zeros(0), torch.ones(5, 3)).tolist() == [0] * 5
    assert empty.charges().shape == (0,)
    assert empty.first_moments().shape == (0, 3)


def test_float32_values_follow_float64():
    density, points = random_density(0, ALL), random_points(0)
    shells = Shells(density.centers.float(), density.exponents.float(), density.l)
    values = evaluate(shells, density.coefficients.float(), points.float())
    assert values.dtype == torch.float32
    # 1e-4: exp(-x) with x of order 1e2 loses two of single precision's seven digits, sums another
    assert relative(values, density.values(points)) < 1e-4


def test_offsets_and_functions():
    shells = random_shells(0, [1, 0, 2, 1])
    assert shells.size == 12
    assert shells.offsets.tolist() == [0, 3, 4, 9]
    chosen, functions = shells.functions(1)
    assert chosen.tolist() == [0, 3]
    assert functions.tolist() == [[0, 1, 2], [9, 10, 11]]
    assert shells.functions(5)[0].tolist() == []


def test_charges_and_first_moments_equal_pyscf():
    """∫φ and ∫φ r are the overlap and the dipole integral with a function that is flat: its value at 0 is its norm."""
    shells = random_shells(1, ALL)
    flat = pyscf_mole([[0.0, 0.0, 0.0]], [FLAT], [0])
    both = as_pyscf(shells) + flat
    height = flat.eval_gto("GTOval_sph", np.zeros((1, 3)))[0, 0]
    order = to_standard(ALL)
    charges = both.intor("int1e_ovlp")[:-1, -1][order] / height
    moments = both.intor("int1e_r")[:, :-1, -1].T[order] / height
    # 1e-10: the flat function falls by 1e-14 r² within the others, and the rest is rounding
    assert relative(shells.charges(), charges) < 1e-10
    assert relative(shells.first_moments(), moments) < 1e-10


@pytest.mark.parametrize("alpha", [0.05, 1.0, 60.0])
def test_charge_and_p_moment_are_the_radial_integrals(alpha):
    """By quadrature, from the definition φ = N r^l Y exp(-αr²): ∫φ = N√(4π)∫r²e, ∫φ_x x = N √(4π/3) ∫r⁴e."""
    shells = Shells(torch.zeros(2, 3, dtype=torch.float64), double(alpha, alpha), torch.tensor([0, 1]))
    reach = 12 / math.sqrt(alpha)  # exp(-144): nothing is left outside
    options = {"epsabs": 0, "epsrel": 1e-12}
    s = quad(lambda r: r**2 * math.exp(-alpha * r * r), 0, reach, **options)[0]
    p = quad(lambda r: r**4 * math.exp(-alpha * r * r), 0, reach, **options)[0]
    n0, n1 = (math.sqrt(2 * (2 * alpha) ** (l + 1.5) / math.gamma(l + 1.5)) for l in (0, 1))
    # 1e-10: what the quadrature was asked for, with a margin
    assert float(shells.charges()[0]) == pytest.approx(n0 * math.sqrt(4 * math.pi) * s, rel=1e-10)
    expected = n1 * math.sqrt(4 * math.pi / 3) * p * np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # y, z, x
    assert relative(shells.first_moments()[1:], expected) < 1e-10


@pytest.mark.parametrize(
    ("centers", "exponents", "l"),
    [((2, 3), (3,), (3,)), ((3, 3), (2,), (3,)), ((3, 3), (3,), (2,)), ((3, 2), (3,), (3,)), ((9,), (3,), (3,))],
)
def test_shapes_that_do_not_fit_are_refused(centers, exponents, l):
    with pytest.raises(ValueError, match="shells need"):
        Shells(torch.zeros(centers), torch.ones(exponents), torch.zeros(l, dtype=torch.long))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_exponents_must_be_positive(bad):
    with pytest.raises(ValueError, match="positive"):
        Shells(torch.zeros(2, 3), torch.tensor([1.0, bad]), torch.zeros(2, dtype=torch.long))


# ------------------------------------------------------------------------------------------------------ derivatives

# gradcheck compares with central differences of step 1e-6 in double precision: they are good to about 1e-8 here, and
# its own tolerances (1e-5 absolute, 1e-3 relative) are tightened to what still leaves a margin of ten.
CHECK = {"eps": 1e-6, "atol": 1e-7, "rtol": 1e-6}


def tiny(ls=(0, 1, 2), seed=5):
    rng = np.random.default_rng(seed)
    arrays = rng.uniform(-1, 1, (len(ls), 3)), rng.uniform(0.5, 2, len(ls)), rng.normal(size=sum(2 * l + 1 for l in ls))
    return [torch.as_tensor(array).requires_grad_() for array in arrays], torch.tensor(ls)


def test_values_differentiate_in_everything():
    variables, l = tiny()
    points = torch.as_tensor(np.random.default_rng(6).uniform(-1, 1, (4, 3))).requires_grad_()
    assert gradcheck(lambda c, a, k, p: evaluate(Shells(c, a, l), k, p), [*variables, points], **CHECK)


def test_charges_and_moments_differentiate():
    (centers, exponents, _), l = tiny()
    assert gradcheck(lambda a: Shells(centers, a, l).charges(), [exponents], **CHECK)
    assert gradcheck(lambda c, a: Shells(c, a, l).first_moments(), [centers, exponents], **CHECK)


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
