import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from densitylab.structures.bonds import bonds, molecules


@pytest.mark.parametrize(
    ("name", "number"), [("CH3CH2OH", 8), ("C6H6", 12), ("C4H4S", 9), ("H2O", 2), ("H2", 1), ("CH3CH2SH", 8)]
)
def test_number_of_bonds(name, number):
    """Counted by hand: atoms − 1, and one more for a ring."""
    assert len(bonds(molecule(name))) == number


@pytest.mark.parametrize("atoms", [Atoms(), Atoms("He"), Atoms("He2", positions=[[0, 0, 0], [0, 0, 3]])])
def test_no_bonds(atoms):
    assert bonds(atoms).shape == (0, 2)
    assert molecules(atoms).tolist() == list(range(len(atoms)))


def test_molecules_in_the_order_of_their_atoms():
    """Two waters at the distance of a hydrogen bond, atoms mixed."""
    water = molecule("H2O")
    pair = water + Atoms(water.numbers, water.positions + np.array([0, 0, 2.8]))
    order = [0, 3, 1, 4, 2, 5]
    assert molecules(pair[order]).tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(("distance", "together"), [(1.2, True), (1.3, False)])
def test_where_a_bond_ends(distance, together):
    """O-H: 1.3 (0.66 + 0.31) = 1.26 Å."""
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, distance]])
    assert (len(set(molecules(atoms))) == 1) is together


def test_memory_grows_linearly():
    """60 000 atoms, of which a table of all pairs would take 14 GB even with four bytes each."""
    grid = np.stack(np.meshgrid(*[np.arange(27) * 4.0] * 3), axis=-1).reshape(-1, 1, 3)
    water = molecule("H2O")
    atoms = Atoms(np.tile(water.numbers, 27**3), (grid + water.positions).reshape(-1, 3))
    assert molecules(atoms).max() + 1 == 27**3
