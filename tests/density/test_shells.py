import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.autograd import gradcheck

from densitylab.density import Shells
from densitylab.density.shells import norm
from tests.density.reference import (
    ALL,
    CHECK,
    FLAT,
    as_pyscf,
    double,
    pyscf_mole,
    random_shells,
    relative,
    tiny,
    to_standard,
)


@pytest.mark.parametrize("l", range(7))
@pytest.mark.parametrize("alpha", [0.03, 1.7, 800.0])
def test_norm(l, alpha):
    """FACTS.md §1.1: N = sqrt(2^l (2α)^(l+3/2) / (π^(3/2) (2l-1)!!)) with Racah's harmonics, √(4π/(2l+1)) r^l Y_lm."""
    odd = math.prod(range(1, 2 * l, 2))
    racah = math.sqrt(2**l * (2 * alpha) ** (l + 1.5) / (math.pi**1.5 * odd))
    # 1e-13: a dozen roundings
    assert float(norm(l, double(alpha))[0]) == pytest.approx(racah * math.sqrt(4 * math.pi / (2 * l + 1)), rel=1e-13)


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


def test_charges_and_moments_differentiate():
    (centers, exponents, _), l = tiny()
    assert gradcheck(lambda a: Shells(centers, a, l).charges(), [exponents], **CHECK)
    assert gradcheck(lambda c, a: Shells(c, a, l).first_moments(), [centers, exponents], **CHECK)
