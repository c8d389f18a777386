"""Coulomb energy and overlap of two densities, against matrices and in closed form."""

import math

import numpy as np
import pytest
import torch
from pyscf import gto

from densitylab.density import Shells
from densitylab.density.bilinear import coulomb_energy, overlap_integral
from densitylab.density.electrostatics import self_repulsion
from densitylab.density.integrals import coulomb, overlap
from tests.density.molecules import of_gaussians, random_molecule, single, with_functions_anywhere
from tests.density.reference import as_pyscf, random_shells, relative, to_standard

FORMS = {"coulomb": (coulomb_energy, coulomb, "int2c2e"), "overlap": (overlap_integral, overlap, "int1e_ovlp")}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def of(function, first, second):
    return function(first.shells, first.coefficients, second.shells, second.coefficients)


def two(seed):
    return with_functions_anywhere(seed), random_molecule(seed + 100, ["C", "H", "O"])


@pytest.mark.parametrize("seed", range(3))
def test_equal_the_matrices(form, seed):
    energy, matrix, name = form
    a, b = two(seed)
    ours = a.coefficients @ matrix(a.shells, b.shells) @ b.coefficients
    integrals = gto.intor_cross(name, as_pyscf(a.shells), as_pyscf(b.shells))[
        np.ix_(to_standard(a.l), to_standard(b.l))
    ]
    terms = float(abs(integrals * np.outer(a.coefficients, b.coefficients)).sum())  # some of them cancel
    found = float(of(energy, a, b))
    assert abs(found - float(ours)) < 1e-12 * terms
    assert abs(found - a.coefficients.numpy() @ integrals @ b.coefficients.numpy()) < 1e-12 * terms
    assert abs(found - float(of(energy, b, a))) < 1e-12 * terms
    assert of(energy, a, b).shape == ()


def test_linear_in_each_argument(form):
    a, b = two(3)
    c = random_molecule(4)
    combined = of(form[0], 2.0 * a - b, c)
    assert float(combined) == pytest.approx(float(2 * of(form[0], a, c) - of(form[0], b, c)), rel=1e-11)


def test_more_shells_than_a_block_has(form):
    """Rows are made in blocks of 500 shells: values and derivatives of 1100, of several l, against whole matrices."""
    energy, matrix, _ = form
    number, ket = 1100, random_shells(1, [0, 2])
    bra = random_shells(0, [(k // 7) % 3 for k in range(number)], smallest=0.5, largest=2)
    rng = np.random.default_rng(0)
    first, second = (torch.as_tensor(rng.normal(size=s.size)).requires_grad_() for s in (bra, ket))
    values = matrix(bra, ket)
    assert relative(energy(bra, first, ket, second).detach(), (first @ values @ second).detach()) < 1e-10
    centers = bra.centers.clone().requires_grad_()
    energy(Shells(centers, bra.exponents, bra.l), first, ket, second).backward()
    assert relative(first.grad, (values @ second).detach()) < 1e-12
    assert relative(second.grad, (first @ values).detach()) < 1e-11  # sums of 2000 terms
    first, second = first.detach(), second.detach()
    for shell in (0, 499, 500, 1099):  # around the edges of blocks, by differences
        step = torch.zeros_like(bra.centers)
        step[shell, 1] = 1e-4
        moved = [Shells(bra.centers + k * step, bra.exponents, bra.l) for k in (1, -1)]
        plus, minus = (float(energy(shells, first, ket, second)) for shells in moved)
        # energies of 1e2 to 1e-14 of themselves, over the step: 1e-8
        assert float(centers.grad[shell, 1]) == pytest.approx((plus - minus) / 2e-4, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("empty", ["first", "second", "both"])
def test_nothing_has_no_energy(form, empty):
    full = random_molecule(0, ["H"])
    none = of_gaussians(np.zeros((0, 3)), [], [], [[0, 0, 0]], [1])
    first, second = none if empty != "second" else full, none if empty != "first" else full
    assert float(of(form[0], first, second)) == 0


def test_single_precision_follows_double(form):
    a, b = two(5)
    found = of(form[0], single(a), single(b))
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(of(form[0], a, b)), rel=1e-4)  # a hundred terms that partly cancel


# ---------------------------------------------------------------------------------------------------- self-repulsion


@pytest.mark.parametrize("alpha", [0.1, 1.0, 37.0])
def test_self_repulsion_of_an_s_gaussian(alpha):
    """Two Gaussians of exponent α and charge q: q² erf(√(α/2) R)/R, at R = 0 q² 2√(α/2π); half of it is q²√(α/2π)."""
    density = of_gaussians([[1, 2, 3]], [alpha], [3.0], [[0, 0, 0]], [3])
    assert float(self_repulsion(density)) == pytest.approx(9 * math.sqrt(alpha / (2 * math.pi)), rel=1e-12)


def test_self_repulsion_is_positive_quadratic_and_half_the_coulomb_energy():
    density = random_molecule(6)
    energy = float(self_repulsion(density))
    assert energy > 0
    assert energy == pytest.approx(0.5 * float(of(coulomb_energy, density, density)), rel=1e-12)
    assert float(self_repulsion(-3 * density)) == pytest.approx(9 * energy, rel=1e-12)
