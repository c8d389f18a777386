import pytest
from ase import Atoms
from ase.build import molecule

from densitylab.structures.environments import environments


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("H2O", ["O(HH)", "H(O)", "H(O)"]),
        ("CH3CH2OH", ["C(CHHO)", "O(CH)", "H(O)", "H(C)", "H(C)", "C(CHHH)", "H(C)", "H(C)", "H(C)"]),
        ("C6H6", ["C(CCH)"] * 6 + ["H(C)"] * 6),
    ],
)
def test_environments_of_molecules(name, expected):
    assert sorted(environments(molecule(name))) == sorted(expected)


def test_an_atom_by_itself_has_no_neighbours():
    assert environments(Atoms("ArHe", positions=[[0, 0, 0], [0, 0, 5]])) == ["Ar()", "He()"]


def test_hydrogen_bonds_are_no_bonds():
    dimer = molecule("H2O")
    other = molecule("H2O")
    other.translate([0, 0, 2.9])
    assert set(environments(dimer + other)) == {"O(HH)", "H(O)"}
