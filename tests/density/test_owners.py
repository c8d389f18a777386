"""Whose functions they are, and densities of some of the atoms."""

import numpy as np
import pytest
import torch

from tests.density.molecules import of_gaussians, random_molecule, with_functions_anywhere
from tests.density.reference import random_points, relative

ROUNDING = 1e-12  # relative, for sums of about a hundred terms in double precision


def nearest(density):
    """By hand, shell by shell."""
    nuclei = density.nuclei.positions.numpy()
    return [int(np.linalg.norm(nuclei - center, axis=1).argmin()) for center in density.centers.numpy()]


@pytest.mark.parametrize("seed", range(3))
def test_functions_belong_to_the_nearest_nucleus(seed):
    assert random_molecule(seed).owners().tolist() == np.repeat(np.arange(8), 4).tolist()
    anywhere = with_functions_anywhere(seed)
    assert anywhere.owners().tolist() == nearest(anywhere)
    assert anywhere.owners().tolist() != np.repeat(np.arange(8), 4).tolist()


def test_a_function_on_a_bond_goes_to_the_nearer_end():
    density = of_gaussians([[0, 0, 0.9], [0, 0, 1.1]], [1, 1], [1, 1], [[0, 0, 0], [0, 0, 2]], [1, 1])
    assert density.owners().tolist() == [0, 1]


def test_the_atoms_add_up_to_the_molecule():
    whole, points = with_functions_anywhere(3), random_points(0, 50)
    atoms = [whole.of_atoms(torch.arange(8) == k) for k in range(8)]
    assert sum(atom.shells.size for atom in atoms) == whole.shells.size
    for name in ("values", "potential", "field", "field_gradient", "gradient", "laplacian"):
        parts = sum(getattr(atom, name)(points) for atom in atoms)
        # 1e-11: ten times the tolerance of a multipole, which is that of the potential
        assert relative(parts, getattr(whole, name)(points)) < 1e-11
    for name in ("charge", "dipole", "quadrupole", "octupole"):
        assert relative(sum(getattr(atom, name)() for atom in atoms), getattr(whole, name)()) < ROUNDING


def test_any_two_halves_add_up():
    whole, points = with_functions_anywhere(4), random_points(1, 50)
    half = torch.tensor([True, False, False, True, True, False, True, False])
    first, second = whole.of_atoms(half), whole.of_atoms(~half, whole.owners())
    assert torch.equal(first.nuclei.positions, whole.nuclei.positions[half])
    assert second.nuclei.charges.tolist() == whole.nuclei.charges[~half].tolist()
    assert relative(first.values(points) + second.values(points), whole.values(points)) < ROUNDING
    assert relative(first.potential(points) + second.potential(points), whole.potential(points)) < 1e-11


def test_all_atoms_and_none():
    whole, points = random_molecule(5), random_points(2, 20)
    everything, nothing = whole.of_atoms(torch.ones(8).bool()), whole.of_atoms(torch.zeros(8).bool())
    assert torch.equal(everything.values(points), whole.values(points))
    assert nothing.shells.size == 0
    assert nothing.values(points).tolist() == nothing.potential(points).tolist() == [0] * 20
    assert float(nothing.charge()) == 0


def test_atoms_are_chosen_by_a_mask():
    with pytest.raises(ValueError, match=r"mask of bool, not of torch\.int64"):
        random_molecule(0).of_atoms(torch.tensor([0, 2]))


def test_joined_molecules_keep_all_nuclei():
    a, b = random_molecule(0, ["H", "O"]), random_molecule(1, ["N"])
    both = a.join(b)
    assert both.nuclei.charges.tolist() == [*a.nuclei.charges.tolist(), *b.nuclei.charges.tolist()]
    assert float(both.charge()) == pytest.approx(float(a.charge() + b.charge()))
    assert float(both.electrons()) == pytest.approx(float((a + b).electrons()))
