import math

import numpy as np
import pytest
import torch
from pyscf import gto
from scipy.special import erf

from densitylab.density import Shells
from densitylab.density.at_points import evaluate
from densitylab.density.grid import atom_centered
from densitylab.density.integrals import coulomb, overlap
from densitylab.units import BOHR_TO_ANGSTROM
from tests.density.reference import as_pyscf, random_shells, relative, to_standard

BRA = [3, 0, 6, 1, 2, 0, 5, 1, 4]
KET = [0, 1, 4, 2]
MATRICES = {"overlap": (overlap, "int1e_ovlp"), "coulomb": (coulomb, "int2c2e")}


@pytest.mark.parametrize("matrix", MATRICES)
def test_square_matrix_equals_pyscf(matrix):
    ours, name = MATRICES[matrix]
    shells = random_shells(0, BRA)
    order = to_standard(BRA)
    assert relative(ours(shells), as_pyscf(shells).intor(name)[np.ix_(order, order)]) < 1e-10  # rounding


@pytest.mark.parametrize("matrix", MATRICES)
def test_rectangular_matrix_equals_pyscf(matrix):
    ours, name = MATRICES[matrix]
    bra, ket = random_shells(1, BRA), random_shells(2, KET)
    expected = gto.intor_cross(name, as_pyscf(bra), as_pyscf(ket))[np.ix_(to_standard(BRA), to_standard(KET))]
    assert relative(ours(bra, ket), expected) < 1e-10  # rounding
    assert relative(ours(ket, bra), expected.T) < 1e-10


@pytest.mark.parametrize("matrix", MATRICES)
def test_ket_defaults_to_bra(matrix):
    ours, _ = MATRICES[matrix]
    shells = random_shells(3, BRA)
    assert relative(ours(shells), ours(shells, shells)) < 1e-13  # the same integrals, one of them symmetrised
    assert ours(shells).dtype == torch.float64


def test_overlap_has_a_unit_diagonal():
    shells = random_shells(4, BRA, smallest=0.02, largest=1e4)
    assert np.allclose(overlap(shells).diagonal(), 1, rtol=0, atol=1e-12)  # rounding


@pytest.mark.parametrize("matrix", MATRICES)
def test_matrices_are_symmetric_and_positive(matrix):
    ours, _ = MATRICES[matrix]
    shells = random_shells(5, [0, 1, 2, 0, 1, 3])
    values = ours(shells)
    assert torch.equal(values, values.T)
    assert torch.linalg.eigvalsh(values).min() > 0


def test_overlap_by_quadrature(water):
    """Functions on atoms and on a bond, integrated on a Becke grid instead."""
    site = torch.as_tensor(water.positions / BOHR_TO_ANGSTROM)
    centers = torch.stack([site[1], 0.5 * (site[0] + site[1]), site[0], site[2], site[0]])
    exponents = torch.tensor([0.4, 0.9, 2.0, 0.7, 1.1], dtype=torch.float64)
    shells = Shells(centers, exponents, torch.tensor([1, 0, 3, 2, 0]))
    grid = atom_centered(water, level=5)
    functions = torch.stack([evaluate(shells, row, grid.points) for row in torch.eye(shells.size, dtype=torch.float64)])
    # 1e-5: the error of the grid (it falls to 1e-6 at level 9); the matrix is of order one
    assert (functions * grid.weights @ functions.T - overlap(shells)).abs().max() < 1e-5


@pytest.mark.parametrize("distance", [0.3, 2.0, 40.0])
def test_coulomb_of_two_s_functions_is_the_error_function(distance):
    """q₁ q₂ erf(√(αβ/(α+β)) R) / R, which is q₁ q₂ / R far away: hartree for coefficients in e."""
    a, b = 0.7, 1.9
    shells = Shells(
        torch.tensor([[0.0, 0.0, 0.0], [0.0, distance, 0.0]], dtype=torch.float64),
        torch.tensor([a, b], dtype=torch.float64),
        torch.tensor([0, 0]),
    )
    q = [(2 * x / math.pi) ** 0.75 * (math.pi / x) ** 1.5 for x in (a, b)]
    expected = q[0] * q[1] * erf(math.sqrt(a * b / (a + b)) * distance) / distance
    assert float(coulomb(shells)[0, 1]) == pytest.approx(expected, rel=1e-12)  # rounding


def test_integrals_take_shells_that_require_gradients():
    shells = random_shells(6, [0, 1])
    tracked = Shells(shells.centers.requires_grad_(), shells.exponents.requires_grad_(), shells.l)
    assert not overlap(tracked).requires_grad
