import numpy as np
import pytest
import torch
from ase import Atoms
from e3nn.o3 import Irreps
from torch.autograd import gradcheck

from densitylab.density import Density, GaussianBasis, Nuclei
from densitylab.units import ANGSTROM_TO_BOHR
from tests.density.reference import (
    FLAT,
    as_pyscf,
    e3nn_matrix,
    pyscf_mole,
    random_density,
    random_points,
    relative,
    to_standard,
)
from tests.labels.calculations import random_rotation, toy_prior

ALL = [3, 0, 6, 1, 1, 4, 0, 2, 5, 0, 2, 1]
ROUNDING = 1e-12  # relative, for sums of about 1e2 terms in double precision
BASIS = GaussianBasis("tiny", {"H": ((0, 0.8), (1, 1.1)), "O": ((0, 2.0), (0, 0.4), (1, 0.9), (2, 1.2), (3, 1.6))})


def random_in_basis(atoms: Atoms, basis: GaussianBasis = BASIS) -> Density:
    size = sum(basis.size(symbol) for symbol in atoms.symbols)
    return Density.from_basis(basis, atoms, torch.as_tensor(np.random.default_rng(0).normal(size=size)))


# -------------------------------------------------------------------------------------------------------- algebra


def test_sum_difference_and_multiple():
    a, b, points = random_density(0, ALL), random_density(1, [2, 0, 1]), random_points(0)
    for found, expected in [
        (a + b, a.values(points) + b.values(points)),
        (a - b, a.values(points) - b.values(points)),
        (-2.5 * a, -2.5 * a.values(points)),
        (0.5 * (a + b) - 2 * b, 0.5 * a.values(points) - 1.5 * b.values(points)),
    ]:
        assert isinstance(found, Density)
        assert relative(found.values(points), expected) < ROUNDING


def test_electrons_and_dipole_are_linear():
    a, b = random_density(0, ALL), random_density(1, [2, 0, 1])
    combined = 2.0 * a + b

    def electronic(density):
        return density.dipole() - density.nuclei.charges @ density.nuclei.positions

    assert relative(combined.electrons(), 2 * a.electrons() + b.electrons()) < ROUNDING
    assert relative(electronic(combined), 2 * electronic(a) + electronic(b)) < ROUNDING


def test_a_sum_keeps_the_nuclei_of_its_first_term():
    a, b = random_density(0, ALL), random_density(1, [2, 0, 1])
    assert (a + b).nuclei is a.nuclei
    assert (3.0 * a).nuclei is a.nuclei
    assert relative((a - a).charge(), a.nuclei.charges.sum()) < ROUNDING


def test_the_difference_of_a_density_with_itself_vanishes():
    density, points = random_density(0, ALL), random_points(0)
    assert (density - density).values(points).abs().max() < 1e-14 * density.values(points).abs().max()


def test_nothing_changes_in_place():
    density = random_density(0, ALL)
    before = density.coefficients.clone()
    _ = density + density, 2.0 * density, density - density, density.with_coefficients(0 * before)
    assert torch.equal(density.coefficients, before)


def test_operations_keep_the_gradient():
    a, b = random_density(0, [0, 1]), random_density(1, [2, 0])
    c = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    points = random_points(1, 5)
    assert gradcheck(lambda x: (2.0 * a.with_coefficients(x) - b).values(points), [c])  # linear: the defaults will do


# ---------------------------------------------------------------------------------------------------- observables


def test_observables_equal_pyscf():
    """∫ρ and ∫ρ r are overlap and dipole integrals of every function with one that is flat."""
    density = random_density(3, ALL)
    flat = pyscf_mole([[0.0, 0.0, 0.0]], [FLAT], [0])
    both = as_pyscf(density.shells) + flat
    height = flat.eval_gto("GTOval_sph", np.zeros((1, 3)))[0, 0]
    order, c = to_standard(ALL), density.coefficients.numpy()
    electrons = both.intor("int1e_ovlp")[:-1, -1][order] @ c / height
    electronic = both.intor("int1e_r")[:, :-1, -1][:, order] @ c / height
    nuclear = np.array([8, 1, 1]) @ density.nuclei.positions.numpy()
    # 1e-10: the flat function falls by 1e-14 r² within the others, and the rest is rounding
    assert float(density.electrons()) == pytest.approx(electrons, rel=1e-10)
    assert float(density.charge()) == pytest.approx(10 - electrons, rel=1e-10)
    assert relative(density.dipole(), nuclear - electronic) < 1e-10


def test_observables_by_hand():
    """Two unit charges: +1 at z = 1 bohr, an electron at z = -1 bohr: a dipole of +2 e·bohr along z."""
    unit = (2 * 0.9 / np.pi) ** -0.75 * (0.9 / np.pi) ** 1.5  # the coefficient of one electron, FACTS.md §1.2
    density = Density(
        torch.tensor([[0.0, 0.0, -1.0]], dtype=torch.float64),
        torch.tensor([0.9], dtype=torch.float64),
        torch.tensor([0]),
        torch.tensor([unit], dtype=torch.float64),
        Nuclei(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64), torch.ones(1, dtype=torch.float64)),
    )
    assert float(density.electrons()) == pytest.approx(1, rel=ROUNDING)
    assert float(density.charge()) == pytest.approx(0, abs=ROUNDING)
    assert density.dipole().tolist() == pytest.approx([0, 0, 2], abs=ROUNDING)


def test_dipole_depends_on_the_origin_by_the_charge_only(water):
    density = random_in_basis(water)
    shift = np.array([0.4, -1.1, 0.7])
    moved = water.copy()
    moved.translate(shift)
    other = density.from_basis(BASIS, moved, density.coefficients)
    expected = density.dipole() + density.charge() * torch.as_tensor(shift * ANGSTROM_TO_BOHR)
    assert relative(other.dipole(), expected) < ROUNDING


def test_observables_differentiate():
    density = random_density(0, [0, 1, 2, 0])
    variables = [x.clone().requires_grad_() for x in (density.centers, density.exponents, density.coefficients)]

    def observables(centers, exponents, coefficients):
        same = Density(centers, exponents, density.l, coefficients, density.nuclei)
        return same.electrons(), same.charge(), same.dipole()

    assert gradcheck(observables, variables, atol=1e-7, rtol=1e-6)  # central differences are good to 1e-8


# ----------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("number", [0, 8, 10])
def test_wrong_number_of_coefficients_is_refused(number):
    density = random_density(0, [0, 1, 2])
    with pytest.raises(ValueError, match="9 functions"):
        density.with_coefficients(torch.zeros(number))


def test_coefficients_must_be_a_vector():
    with pytest.raises(ValueError, match="functions"):
        random_density(0, [0, 1, 2]).with_coefficients(torch.zeros(9, 1))


def test_negative_exponents_are_refused():
    density = random_density(0, [0, 1])
    with pytest.raises(ValueError, match="positive"):
        Density(density.centers, -density.exponents, density.l, density.coefficients, density.nuclei)


# --------------------------------------------------------------------------------------------------- from_basis


def test_from_basis_puts_every_function_where_it_belongs(water):
    density = random_in_basis(water)
    bohr = water.positions * ANGSTROM_TO_BOHR
    assert density.l.tolist() == [0, 0, 1, 2, 3, 0, 1, 0, 1]
    assert density.exponents.tolist() == [2.0, 0.4, 0.9, 1.2, 1.6, 0.8, 1.1, 0.8, 1.1]
    assert np.array_equal(density.centers.numpy(), np.repeat(bohr, [5, 2, 2], axis=0))
    assert np.array_equal(density.nuclei.positions.numpy(), bohr)
    assert density.nuclei.charges.tolist() == [8, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_follows_the_coefficients(water, dtype):
    density = Density.from_basis(BASIS, water, torch.ones(25, dtype=dtype))
    assert {density.centers.dtype, density.exponents.dtype, density.coefficients.dtype} == {dtype}
    points = random_points(0, 10).to(dtype)
    assert density.values(points).dtype == dtype
    assert (density + toy_prior().density(water, dtype)).values(points).dtype == dtype


# ---------------------------------------------------------------------------------------------------- equivariance


def rotated(density: Density, rotation: np.ndarray) -> Density:
    matrix = torch.as_tensor(rotation)
    degrees = Irreps([(1, (int(l), (-1) ** int(l))) for l in density.l])
    return Density(
        density.centers @ matrix.T,
        density.exponents,
        density.l,
        e3nn_matrix(degrees, rotation) @ density.coefficients,
        Nuclei(density.nuclei.positions @ matrix.T, density.nuclei.charges),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sign", [1, -1], ids=["proper", "improper"])
def test_coefficients_rotate_as_e3nn_says(seed, sign):
    """ρ'(R r) = ρ(r) for l = 0 … 6, with and without inversion (the parities of the irreps)."""
    rotation = sign * random_rotation(seed)
    density, points = random_density(seed, ALL), random_points(seed)
    turned = rotated(density, rotation)
    # 1e-10: rounding; D-matrices come from Euler angles, which lose two or three digits of double precision
    assert relative(turned.values(points @ torch.as_tensor(rotation).T), density.values(points)) < 1e-10
    assert float(turned.electrons()) == pytest.approx(float(density.electrons()), rel=1e-12)
    assert relative(turned.dipole(), rotation @ density.dipole().numpy()) < 1e-10


def test_without_turning_the_coefficients_it_fails():
    """The test above can fail."""
    rotation = random_rotation(0)
    density, points = random_density(0, ALL), random_points(0)
    turned = rotated(density, rotation).with_coefficients(density.coefficients)
    assert relative(turned.values(points @ torch.as_tensor(rotation).T), density.values(points)) > 0.1


def test_values_by_degree_are_the_values_of_the_shells_of_that_degree():
    """Against densities that have the shells of one l only; and their sum is the density."""
    generator = torch.Generator().manual_seed(5)
    l = torch.tensor([0, 1, 2, 0, 3, 1])
    centers = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    exponents = torch.rand(6, generator=generator, dtype=torch.float64) + 0.3
    coefficients = torch.randn(int((2 * l + 1).sum()), generator=generator, dtype=torch.float64)
    points = 2 * torch.randn(50, 3, generator=generator, dtype=torch.float64)
    nuclei = Nuclei(centers[:1], torch.ones(1, dtype=torch.float64))
    density = Density(centers, exponents, l, coefficients, nuclei)
    found = density.values_by_degree(points)
    assert torch.allclose(found.sum(-1), density.values(points), rtol=1e-12, atol=1e-14)
    for degree in range(4):
        shells, functions = density.shells.functions(degree)
        own = Density(centers[shells], exponents[shells], l[shells], coefficients[functions].flatten(), nuclei)
        assert torch.allclose(found[:, degree], own.values(points), rtol=1e-12, atol=1e-14)
