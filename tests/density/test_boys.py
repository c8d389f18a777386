import mpmath
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from densitylab.density.boys import boys

ARGUMENTS = [0, 1e-12, 1e-3, 0.03125, 0.5, 3.3, 9.99, 20.02, 29.97, 29.999999, 30.0, 31.0, 45.0, 1e3, 1e8]


@pytest.mark.parametrize("n", range(15))
def test_boys_equals_its_definition_in_40_digits(n):
    """F_n(x) = M(n + ½, n + 3/2, −x) / (2n + 1), on both sides of the change of method and on points of the table."""
    with mpmath.workdps(40):
        exact = [float(mpmath.hyp1f1(n + 0.5, n + 1.5, -mpmath.mpf(x)) / (2 * n + 1)) for x in ARGUMENTS]
    found = boys(torch.tensor(ARGUMENTS, dtype=torch.float64), n)
    # 1e-14: a dozen roundings in the series or the recursion
    assert found.tolist() == pytest.approx(exact, rel=1e-14)


def test_boys_differentiates_twice():
    x = torch.tensor([0.0, 0.5, 3.0, 29.5, 40.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: boys(x[1:], 3), [x])
    assert gradgradcheck(lambda x: boys(x[1:], 3), [x])
    (slope,) = torch.autograd.grad(boys(x, 0).sum(), x)
    assert float(slope[0]) == pytest.approx(-1 / 3, rel=1e-14)  # F₀ = 1 − x/3 + …


def test_boys_in_single_precision():
    x = torch.linspace(0, 60, 1001)
    assert boys(x, 2).dtype == torch.float32
    # 1e-5: x is rounded to 4e-6 of itself at most, and F falls no faster than 1/x
    torch.testing.assert_close(boys(x, 2).double(), boys(x.double(), 2), rtol=1e-5, atol=0)


@pytest.mark.parametrize("n", [-1, 15])
def test_orders_without_a_table_are_refused(n):
    with pytest.raises(ValueError, match=f"order {n}"):
        boys(torch.ones(1), n)
