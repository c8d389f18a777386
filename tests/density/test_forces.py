"""Hellmann-Feynman forces, by everything and by what is far, against differences of energies and by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.special import erf

from densitylab.density.electrostatics import hellmann_feynman, long_range_forces
from tests.density.molecules import (
    electronic_potential,
    joined,
    nuclear_potential,
    of_gaussians,
    random_molecule,
    shifted,
    single,
    spherical_molecule,
    with_functions_anywhere,
)
from tests.density.reference import relative


def energy(density, positions):
    """Σ Z Z'/R − Σ Z ∫ρ/|r − R| of nuclei at ``positions`` (N, A, 3) in a density that stays: (N,)."""
    z = density.nuclei.charges.numpy()
    electronic = electronic_potential(density, positions.reshape(-1, 3)).reshape(len(positions), -1)
    distance = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1) + np.diag(np.full(len(z), np.inf))
    return 0.5 * (z[:, None] * z / distance).sum((1, 2)) - electronic @ z


@pytest.mark.parametrize("seed", range(2))
def test_forces_are_minus_the_derivative_of_the_energy(seed):
    density = with_functions_anywhere(seed)
    rest, step = density.nuclei.positions.numpy(), 1e-3
    moves = step * np.eye(rest.size).reshape(-1, *rest.shape)
    near, far = (energy(density, rest + k * moves) - energy(density, rest - k * moves) for k in (1, 2))
    expected = -((8 * near - far) / (12 * step)).reshape(rest.shape)
    # 1e-8: fourth-order differences of functions as wide as 1 bohr/√20, and energies of 1e3 to 1e-13 of themselves
    assert relative(hellmann_feynman(density), expected) < 1e-8


def test_force_of_one_spherical_electron_by_hand():
    """Towards it: −∂/∂R of −Z erf(√α R)/R."""
    alpha, distance, charge = 0.7, 1.3, 6.0
    density = of_gaussians([[0, 0, 0]], [alpha], [1], [[0, distance, 0]], [charge])
    x = math.sqrt(alpha) * distance
    slope = 2 * math.sqrt(alpha / math.pi) * math.exp(-x * x) / distance - erf(x) / distance**2
    assert hellmann_feynman(density)[0].tolist() == pytest.approx([0, charge * slope, 0], rel=1e-12)


def test_forces_on_an_atom_by_itself_vanish():
    density = of_gaussians([[1, 2, 3]] * 2, [0.3, 7.0], [5, 3], [[1, 2, 3]], [8])
    assert hellmann_feynman(density).tolist() == [[0, 0, 0]]


# ------------------------------------------------------------------------------------------------------- by what is far


def by_hand(density, groups, radius):
    """Z times the fields of one group after the other, by PySCF's integrals; centres of charge, written out."""
    groups, z, positions = np.asarray(groups), density.nuclei.charges.numpy(), density.nuclei.positions.numpy()
    forces = np.zeros_like(positions)
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    centers = [sum(z[a] * positions[a] for a in atoms) / sum(z[a] for a in atoms) for atoms in members]
    for other in range(len(members)):
        part = density.of_atoms(torch.as_tensor(groups == other))
        gradient = nuclear_potential(part, positions, 1) - electronic_potential(part, positions, 1)
        for group, atoms in enumerate(members):
            if np.linalg.norm(centers[group] - centers[other]) > radius:
                forces[atoms] -= z[atoms, None] * gradient[atoms]
    return forces


GROUPS = {"atoms": list(range(8)), "threes": [0, 1, 0, 2, 1, 1, 2, 0], "one": [0] * 8}


def error(density, groups, radius, expected):
    """In units of the largest Hellmann-Feynman force: near forces cancel."""
    found = long_range_forces(density, torch.tensor(groups), radius)
    return float((found - torch.as_tensor(expected)).abs().max() / hellmann_feynman(density).abs().max())


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("radius", [0.0, 2.5, 4.0, 6.0])
def test_long_range_forces_are_those_of_far_groups(groups, radius):
    """Overlapping atoms; a radius of 0 leaves out only the group itself, that is its nuclei and functions."""
    density = with_functions_anywhere(3)
    expected = by_hand(density, GROUPS[groups], radius)
    assert (abs(expected).max() > 1) == (groups != "one" and (groups == "atoms" or radius < 3))  # of something
    assert error(density, GROUPS[groups], radius, expected) < 1e-11  # ten times the tolerance of a multipole


@pytest.mark.parametrize("groups", GROUPS)
def test_nothing_is_farther_than_a_large_radius(groups):
    assert error(with_functions_anywhere(4), GROUPS[groups], 1e3, np.zeros((8, 3))) < 1e-12  # rounding


def test_far_and_near_are_everything():
    """Of every atom, its own functions, those within the radius, and those beyond."""
    density, radius = with_functions_anywhere(5), 4.0
    z, positions = density.nuclei.charges, density.nuclei.positions
    near = torch.zeros_like(positions)
    for atom in range(8):
        close = (positions - positions[atom]).norm(dim=1) <= radius
        near[atom] = z[atom] * density.of_atoms(close).field(positions[atom : atom + 1])[0]
    assert error(density, GROUPS["atoms"], radius, hellmann_feynman(density) - near) < 1e-11


def test_the_far_one_of_two_molecules():
    """As if the other were alone: its field by itself, at the nuclei of this one."""
    a, b = random_molecule(6, ["O", "H", "H"]), shifted(random_molecule(7, ["C", "O"]), [30, -20, 10])
    both, groups = joined(a, b), [0, 0, 0, 1, 1]
    expected = torch.cat([x.nuclei.charges[:, None] * y.field(x.nuclei.positions) for x, y in [(a, b), (b, a)]])
    assert error(both, groups, 20.0, expected) < 1e-11
    assert relative(long_range_forces(both, torch.tensor(groups), 20.0), expected) < 1e-9  # near forces cancel
    assert error(both, groups, 50.0, 0 * expected) < 1e-12  # they are 37 bohr apart


def test_a_group_at_the_radius_is_not_farther():
    """Two bare charges 10 bohr apart."""
    density = of_gaussians(np.zeros((0, 3)), [], [], [[0, 0, 0], [0, 0, 10]], [2, 3])
    assert long_range_forces(density, torch.arange(2), 10.0).abs().max() < 1e-16
    found = long_range_forces(density, torch.arange(2), 9.99)
    assert torch.allclose(found, torch.tensor([[0, 0, -0.06], [0, 0, 0.06]]).double(), rtol=1e-6, atol=1e-16)


def test_the_centre_of_a_group_is_that_of_its_nuclear_charge():
    """O and H along z at 0 and 2: their centre is at 2/9; a proton at 10 is 9.78 away."""
    density = of_gaussians(np.zeros((0, 3)), [], [], [[0, 0, 0], [0, 0, 2], [0, 0, 10]], [8, 1, 1])
    groups = torch.tensor([0, 0, 1])
    assert long_range_forces(density, groups, 9.79).abs().max() < 1e-15
    assert float(long_range_forces(density, groups, 9.76)[2, 2]) == pytest.approx(8 / 10**2 + 1 / 8**2, rel=1e-12)


def test_neutral_spheres_far_away_exert_no_force():
    """Their penetration ends within 10 bohr, exponents are 0.3 and more; and fields of 8/100 cancel to rounding."""
    both = joined(spherical_molecule(0, ["O", "H"]), shifted(spherical_molecule(1, ["C", "H"]), [20, 0, 0]))
    assert long_range_forces(both, torch.tensor([0, 0, 1, 1]), 10.0).abs().max() < 1e-15


def test_single_precision_follows_double():
    density = random_molecule(8)
    groups = torch.tensor(GROUPS["threes"])
    for forces in (hellmann_feynman, lambda d: long_range_forces(d, groups, 1.0)):
        found = forces(single(density))
        assert found.dtype == torch.float32
        assert (found - forces(density)).abs().max() < 1e-4 * hellmann_feynman(density).abs().max()


@pytest.mark.parametrize("groups", [[0, 1], [0, 0, 2], [1, 1, 1], [[0, 0, 0]]])
def test_groups_that_are_none_are_refused(groups):
    density = random_molecule(0, ["H", "C", "O"])
    with pytest.raises(ValueError, match="3 numbers, one per nucleus, counted from 0"):
        long_range_forces(density, groups, 5.0)


def test_groups_may_be_what_finds_molecules():
    density = random_molecule(0, ["H", "C", "O"])
    found = [long_range_forces(density, groups, 2.0) for groups in (range(3), np.arange(3), torch.arange(3))]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
