"""Electrostatic energies between molecules: against their energies together, dipoles, multipoles and PySCF."""

import numpy as np
import pytest
import torch
from pyscf import gto
from torch.autograd import gradcheck

from densitylab.density import Density, Nuclei
from densitylab.density.bilinear import coulomb_energy
from densitylab.density.electrostatics import interaction_energy, self_repulsion
from densitylab.density.moments import traceless_octupole, traceless_quadrupole
from densitylab.units import ANGSTROM_TO_BOHR
from tests.density.molecules import (
    electronic_potential,
    joined,
    of_gaussians,
    random_molecule,
    shifted,
    single,
    spherical_molecule,
    with_functions_anywhere,
)
from tests.density.reference import CHECK, as_pyscf, double, random_points, relative, tiny, to_standard

WATER, FORMALDEHYDE = ["O", "H", "H"], ["C", "O", "H", "H"]
APART = [50 * ANGSTROM_TO_BOHR, 0, 0]


def overlapping(seed):
    """Two molecules whose functions penetrate each other."""
    return with_functions_anywhere(seed), shifted(random_molecule(seed + 50, WATER), [5, 1, -2])


def nuclear_repulsion(first, second):
    distance = torch.cdist(first.nuclei.positions, second.nuclei.positions)
    distance = torch.where(distance > 0, distance, torch.inf)
    return float(first.nuclei.charges @ (1 / distance) @ second.nuclei.charges)


def attraction(electrons, nuclei):
    """−Σ Z ∫ρ/|r − R|, by PySCF's integrals."""
    return -float(nuclei.nuclei.charges.numpy() @ electronic_potential(electrons, nuclei.nuclei.positions))


def total_energy(density):
    nuclear = 0.5 * nuclear_repulsion(density, density)
    return float(self_repulsion(density)) + nuclear + attraction(density, density)


@pytest.mark.parametrize("seed", range(3))
def test_energy_together_minus_energies_apart(seed):
    a, b = overlapping(seed)
    whole = total_energy(joined(a, b))
    # 1e-12 of the energies, which cancel
    assert abs(float(interaction_energy(a, b)) - whole + total_energy(a) + total_energy(b)) < 1e-12 * abs(whole)


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_pyscfs_integrals_and_symmetric(seed):
    a, b = overlapping(seed)
    matrix = gto.intor_cross("int2c2e", as_pyscf(a.shells), as_pyscf(b.shells))
    repulsion = a.coefficients.numpy() @ matrix[np.ix_(to_standard(a.l), to_standard(b.l))] @ b.coefficients.numpy()
    terms = [nuclear_repulsion(a, b), attraction(a, b), attraction(b, a), repulsion]
    found, size = float(interaction_energy(a, b)), sum(map(abs, terms))
    assert abs(found - sum(terms)) < 1e-11 * size  # ten times the tolerance of a multipole
    assert abs(found - float(interaction_energy(b, a))) < 1e-11 * size


def test_two_dipoles_far_apart():
    """(d·d' − 3 d·n d'·n)/R³ of a charge +1 and an electron, twice: no quadrupole, so the next term is (1/R)² of it."""
    separation, position = np.array([0.3, -0.4, 0.8]), np.array([60, -30, 50])
    a = of_gaussians([-separation / 2], [2.0], [1], [separation / 2], [1])
    turned = separation[[1, 2, 0]]
    b = of_gaussians([position - turned / 2], [1.5], [1], [position + turned / 2], [1])
    r = np.linalg.norm(position)
    n, d, e = position / r, a.dipole().numpy(), b.dipole().numpy()
    assert np.allclose(d, separation, rtol=1e-12)
    expected = (d @ e - 3 * (d @ n) * (e @ n)) / r**3
    assert float(interaction_energy(a, b)) == pytest.approx(expected, rel=1e-3)


def test_a_small_molecule_in_the_field_of_a_large_one():
    """U = qV − μ·E + ⅓ Θ:∂²V + 1/15 Ω∴∂³V (Buckingham): each term a tenth or less of the one before."""
    large = random_molecule(3)
    small = shifted(random_molecule(4, WATER, neutral=True), [40, 20, -30])
    at = double([40, 20, -30])
    gradient = large.field_gradient(at)[0]
    steps = 1e-2 * torch.eye(3, dtype=torch.float64)
    third = torch.stack([large.field_gradient(at + s)[0] - large.field_gradient(at - s)[0] for s in steps]) / 2e-2
    origin = at[0]
    terms = [
        -small.dipole(origin) @ large.field(at)[0],
        (traceless_quadrupole(small.quadrupole(origin)) * gradient).sum() / 3,
        (traceless_octupole(small.octupole(origin)) * third).sum() / 15,
    ]
    found = interaction_energy(large, small)
    errors = [float((sum(terms[: k + 1]) - found).abs() / found.abs()) for k in range(3)]
    assert errors[2] < errors[1] / 5 < errors[0] / 25
    assert errors[2] < 1e-3


def test_neutral_spheres_do_not_see_each_other():
    a, b = spherical_molecule(0, WATER), shifted(spherical_molecule(1, FORMALDEHYDE), [20, 0, 0])
    assert abs(float(interaction_energy(a, b))) < 1e-12  # of terms of order 10·16/20


def test_penetration_attracts():
    """Neutral atoms whose densities overlap: each nucleus sees less than all of the other's electrons."""
    a, b = (of_gaussians([[x, 0, 0]], [0.5], [1], [[x, 0, 0]], [1]) for x in (0, 2))
    assert float(interaction_energy(a, b)) < -1e-3


def test_molecules_far_apart_add_up():
    """Values, potential, moments and energies of two molecules 50 Å apart."""
    a, b = random_molecule(5), shifted(random_molecule(6, WATER), APART)
    both = joined(a, b)
    points = torch.cat([random_points(0, 30), random_points(1, 30) + double(*APART)])
    for name in ("values", "gradient", "laplacian", "potential", "field", "field_gradient"):
        assert relative(getattr(both, name)(points), getattr(a, name)(points) + getattr(b, name)(points)) < 1e-11
    for name in ("charge", "electrons", "dipole", "quadrupole", "octupole"):
        assert relative(getattr(both, name)(), getattr(a, name)() + getattr(b, name)()) < 1e-12
    between = coulomb_energy(a.shells, a.coefficients, b.shells, b.coefficients)
    assert float(self_repulsion(both)) == pytest.approx(float(self_repulsion(a) + self_repulsion(b) + between))


def test_differentiates():
    (r1, a1, c1), l1 = tiny((0, 1))
    (r2, a2, c2), l2 = tiny((2, 0), seed=6)
    n1, n2 = double([0.1, 0.2, 0.3]).requires_grad_(), double([1.0, -0.5, 0.2], [2.0, 0, 1]).requires_grad_()

    def energy(r1, c1, n1, r2, c2, n2):
        first = Density(r1, a1.detach(), l1, c1, Nuclei(n1, double(8)))
        return interaction_energy(first, Density(r2, a2.detach(), l2, c2, Nuclei(n2, double(6, 1))))

    assert gradcheck(energy, [r1, c1, n1, r2, c2, n2], **CHECK)


def test_single_precision_follows_double():
    a, b = overlapping(7)
    found = interaction_energy(single(a), single(b))
    assert found.dtype == torch.float32
    size = nuclear_repulsion(a, b)
    assert abs(float(found) - float(interaction_energy(a, b))) < 1e-5 * size  # four terms of that size cancel
