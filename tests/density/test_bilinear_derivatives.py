"""Derivatives of Coulomb energy and overlap: right once, and nothing else unnoticed."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from densitylab.density import Shells
from densitylab.density.bilinear import coulomb_energy, overlap_integral
from densitylab.density.integrals import coulomb, overlap
from tests.density.reference import CHECK, relative, tiny


@pytest.fixture(params=[(coulomb_energy, coulomb), (overlap_integral, overlap)], ids=["coulomb", "overlap"])
def form(request):
    return request.param


def test_differentiable_in_coefficients_and_centres(form):
    (r1, a1, c1), l1 = tiny((0, 1, 2, 3))
    (r2, a2, c2), l2 = tiny((2, 0, 1), seed=6)
    a1, a2 = a1.detach(), a2.detach()
    assert gradcheck(lambda r, c, s, d: form[0](Shells(r, a1, l1), c, Shells(s, a2, l2), d), [r1, c1, r2, c2], **CHECK)


def test_differentiable_where_both_are_the_same(form):
    """One set of centres and coefficients in both places, as in a self-repulsion; and of one of them only."""
    (centers, exponents, coefficients), l = tiny((0, 1, 2))
    exponents = exponents.detach()

    def both(r, c):
        return form[0](Shells(r, exponents, l), c, Shells(r, exponents, l), c)

    assert gradcheck(both, [centers, coefficients], **CHECK)
    assert gradcheck(lambda c: both(centers.detach(), c), [coefficients], **CHECK)
    assert gradcheck(lambda r: both(r, coefficients.detach()), [centers], **CHECK)


def test_the_derivative_of_a_product_with_something_else(form):
    """The incoming gradient is used."""
    (centers, exponents, coefficients), l = tiny((0, 1))
    shells = Shells(centers, exponents.detach(), l)
    plain = torch.autograd.grad(form[0](shells, coefficients, shells, coefficients), [centers, coefficients])
    scaled = torch.autograd.grad(-3 * form[0](shells, coefficients, shells, coefficients), [centers, coefficients])
    assert all(relative(s, -3 * p) < 1e-13 for s, p in zip(scaled, plain, strict=True))


def test_there_are_second_derivatives_in_coefficients(form):
    (centers, exponents, coefficients), l = tiny((0, 1))
    shells = Shells(centers.detach(), exponents.detach(), l)
    other = coefficients.detach().flip(0).requires_grad_()
    assert gradgradcheck(lambda a, b: form[0](shells, a, shells, b) ** 2, [coefficients, other])


def test_second_derivatives_in_centres_are_refused(form):
    (centers, exponents, coefficients), l = tiny((0, 1))
    shells = Shells(centers, exponents.detach(), l)
    (slope,) = torch.autograd.grad(form[0](shells, coefficients, shells, coefficients), centers, create_graph=True)
    with pytest.raises(RuntimeError, match="one derivative in centres"):
        slope.square().sum().backward()


def test_a_second_derivative_is_right_or_refused(form):
    """Of a sum with c²: 2·1 of that, and 2J of the energy."""
    (centers, exponents, coefficients), l = tiny((0, 1))
    shells = Shells(centers.detach(), exponents.detach(), l)
    energy = form[0](shells, coefficients, shells, coefficients) + coefficients.square().sum()
    (slope,) = torch.autograd.grad(energy, coefficients, create_graph=True)
    try:
        (found,) = torch.autograd.grad(slope.sum(), coefficients)
    except RuntimeError:
        return
    assert relative(found, 2 + 2 * form[1](shells).sum(1)) < 1e-10


def test_a_derivative_in_exponents_is_right_or_refused(form):
    (centers, exponents, coefficients), l = tiny((0, 1))
    shells = Shells(centers, exponents, l)
    try:
        form[0](shells, coefficients, shells, coefficients).backward()
    except (RuntimeError, ValueError, NotImplementedError):
        return
    assert exponents.grad is not None
