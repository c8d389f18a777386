"""Moments of molecules and of single functions, against PySCF's integrals and point charges."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from densitylab.density import Density, Nuclei, Shells, moments
from densitylab.density.moments import own_moments, point_moments, translated
from densitylab.density.multipoles import total_moments
from tests.density.molecules import about, random_molecule, single
from tests.density.reference import CHECK, FLAT, as_pyscf, double, pyscf_mole, relative, tiny, to_standard

ORIGINS = [(0.0, 0.0, 0.0), (0.7, -2.1, 1.3), (-8.0, 5.0, 11.0)]
ROUNDING = 1e-12  # relative, for sums of about a hundred terms in double precision


def of_the_density(density, origin):
    return [density.charge(), density.dipole(origin), density.quadrupole(origin), density.octupole(origin)]


def of_pyscf(density, origin):
    """Σ Z r⊗… − ∫ρ r⊗…: integrals of every function with one that is flat, divided by its height."""
    flat = pyscf_mole([[0.0, 0.0, 0.0]], [FLAT], [0])
    height = flat.eval_gto("GTOval_sph", np.zeros((1, 3)))[0, 0]
    both = as_pyscf(density.shells) + flat
    order, c = to_standard(density.l), density.coefficients.numpy()
    z, r = density.nuclei.charges.numpy(), density.nuclei.positions.numpy() - np.array(origin)
    nuclear = [z.sum(), z @ r, np.einsum("a,ai,aj", z, r, r), np.einsum("a,ai,aj,ak", z, r, r, r)]
    result = []
    with both.with_common_orig(origin):
        for rank, name in enumerate(["int1e_ovlp", "int1e_r", "int1e_rr", "int1e_rrr"]):
            with_flat = both.intor(name).reshape(-1, both.nao, both.nao)[:, :-1, -1][:, order]
            result.append(nuclear[rank] - (with_flat @ c).reshape((3,) * rank) / height)
    return result


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("seed", range(3))
def test_moments_equal_pyscf(seed, origin):
    density = random_molecule(seed)
    for found, expected in zip(of_the_density(density, double(*origin)), of_pyscf(density, origin), strict=True):
        assert relative(found, expected) < 1e-9  # the flat function falls by 1e-14 r² up to r = 20 bohr: 1e-11


@pytest.mark.parametrize("l", range(6))
def test_every_single_function_equals_pyscf(l):
    """Nothing hides behind the larger moments of another function; in this order: l by l, m by m."""
    nuclei = Nuclei(torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    for row in torch.eye(2 * l + 1, dtype=torch.float64):
        density = Density(torch.tensor([[0.3, -0.2, 0.5]]).double(), double(0.8), torch.tensor([l]), row, nuclei)
        for rank, (found, expected) in enumerate(
            zip(of_the_density(density, None), of_pyscf(density, ORIGINS[0]), strict=True)
        ):
            assert np.allclose(found, expected, rtol=0, atol=1e-11)  # they are of order one
            assert rank >= l or abs(expected).max() < 1e-11


@pytest.mark.parametrize("origin", ORIGINS[1:])
def test_another_origin_by_hand(origin):
    density = random_molecule(3)
    expected = about(of_the_density(density, None), origin)
    for found, wanted in zip(total_moments(density, double(*origin)), expected, strict=True):
        assert relative(found, wanted) < ROUNDING


def test_the_default_origin_is_zero_and_moments_are_symmetric():
    density = random_molecule(4)
    about_zero = total_moments(density, double(0, 0, 0))
    assert all(map(torch.equal, of_the_density(density, None)[1:], about_zero[1:]))
    quadrupole, octupole = density.quadrupole(), density.octupole()
    assert relative(quadrupole.T, quadrupole) < ROUNDING
    for order in [(0, 2, 1), (1, 0, 2), (2, 1, 0)]:
        assert relative(octupole.permute(order), octupole) < ROUNDING


def test_shells_have_moments_of_rank_l_and_l_plus_two_only():
    (centers, exponents, coefficients), l = tiny((0, 1, 2, 3, 4))
    with torch.no_grad():
        own = own_moments(Shells(centers, exponents, l), coefficients)
    assert [tuple(m.shape) for m in own] == [(5,), (5, 3), (5, 3, 3), (5, 3, 3, 3)]
    for rank, moment in enumerate(own):
        nonzero = (moment.flatten(1) if rank else moment[:, None]).abs().amax(1) > ROUNDING
        assert nonzero.tolist() == [rank >= n and (rank - n) % 2 == 0 for n in range(5)]


def test_point_moments_and_their_translation_by_hand():
    rng = np.random.default_rng(0)
    q, r, shift = rng.normal(size=4), rng.normal(size=(4, 3)), rng.normal(size=3)
    found = point_moments(torch.as_tensor(q), torch.as_tensor(r))
    moved = translated(found, torch.as_tensor(np.tile(shift, (4, 1))))
    for t, point in [(found, r), (moved, r + shift)]:
        for k in range(4):
            rr = np.multiply.outer(point[k], point[k])
            for rank, expected in enumerate([1, point[k], rr, np.multiply.outer(rr, point[k])]):
                assert np.allclose(t[rank][k], q[k] * expected, rtol=ROUNDING, atol=ROUNDING)


# ---------------------------------------------------------------------------------------------------- as tensors


def test_moments_differentiate():
    variables, l = tiny((0, 1, 2, 3))
    positions = double([0.1, 0.2, 0.3], [1.0, -0.5, 0.2]).requires_grad_()

    def observables(centers, exponents, coefficients, nuclei):
        density = Density(centers, exponents, l, coefficients, Nuclei(nuclei, double(8, 1)))
        return density.dipole(), density.quadrupole(), density.octupole(double(0.3, -0.1, 0.2))

    assert gradcheck(observables, [*variables, positions], **CHECK)


def test_single_precision_follows_double():
    density = random_molecule(6)
    for found, expected in zip(of_the_density(single(density), None), of_the_density(density, None), strict=True):
        assert found.dtype == torch.float32
        assert relative(found, expected) < 1e-5  # a hundred terms of seven digits, and some of them cancel


def test_a_density_without_functions_is_its_nuclei():
    density = random_molecule(7)
    none = Shells(torch.zeros(0, 3).double(), torch.zeros(0).double(), torch.zeros(0, dtype=torch.long))
    bare = Density(none.centers, none.exponents, none.l, torch.zeros(0).double(), density.nuclei)
    expected = [m.sum(0) for m in point_moments(density.nuclei.charges, density.nuclei.positions)]
    assert all(relative(a, b) < ROUNDING for a, b in zip(of_the_density(bare, None), expected, strict=True))


def test_moments_differentiate_after_they_were_computed_in_inference_mode():
    moments._angular.cache_clear()
    density = random_molecule(8)
    try:
        with torch.inference_mode():
            density.dipole()
        coefficients = density.coefficients.clone().requires_grad_()
        density.with_coefficients(coefficients).dipole().sum().backward()
    finally:
        moments._angular.cache_clear()
    assert torch.isfinite(coefficients.grad).all()
