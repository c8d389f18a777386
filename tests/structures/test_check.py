import numpy as np
import pytest
from ase import Atoms

from densitylab.structures import StructureError, check, electrons, prepare


def water(**info) -> Atoms:
    return Atoms("OHH", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], info=info)


# -------------------------------------------------------------------------------------------------------- prepare


@pytest.mark.parametrize(
    ("atoms", "charge", "multiplicity", "group"),
    [(water(), 0, 1, "H2O"), (Atoms("H"), 0, 2, "H"), (Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]]), 0, 2, "HO")],
)
def test_defaults(atoms, charge, multiplicity, group):
    assert prepare(atoms).info == {"charge": charge, "multiplicity": multiplicity, "group": group}


def test_lowest_multiplicity_follows_the_charge():
    assert prepare(water(), charge=1).info["multiplicity"] == 2
    assert prepare(water(charge=-1)).info["multiplicity"] == 2
    assert prepare(water(charge=-2)).info["multiplicity"] == 1


def test_info_is_kept_and_arguments_win():
    atoms = water(charge=1, multiplicity=4, group="run", temperature_K=300.0)
    assert prepare(atoms).info == atoms.info
    changed = prepare(atoms, charge=0, multiplicity=3, group="other")
    assert changed.info == {"charge": 0, "multiplicity": 3, "group": "other", "temperature_K": 300.0}
    assert prepare(atoms, charge=0, multiplicity=1).info["charge"] == 0  # zero is an argument, not its absence


def test_prepare_copies():
    atoms = water()
    prepared = prepare(atoms)
    prepared.positions += 1
    assert atoms.info == {}
    assert atoms.positions[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), np.float64(1)])
def test_whole_numbers_of_any_type_become_integers(value):
    info = prepare(water(charge=value, multiplicity=np.int32(2))).info
    assert (info["charge"], info["multiplicity"]) == (1, 2)
    assert type(info["charge"]) is type(info["multiplicity"]) is int


@pytest.mark.parametrize("value", [0.5, "1", "minus one", None, float("nan"), float("inf"), [1, 2]])
@pytest.mark.parametrize("name", ["charge", "multiplicity"])
def test_what_is_not_a_whole_number_is_refused(name, value):
    with pytest.raises(StructureError, match=f"{name} must be a whole number"):
        prepare(water(**{name: value}))


def test_group_is_text():
    assert prepare(water(group=7)).info["group"] == "7"
    assert prepare(water(), group="0").info["group"] == "0"


@pytest.mark.parametrize(("charge", "number"), [(0, 10), (1, 9), (-2, 12)])
def test_electrons(charge, number):
    assert electrons(water(charge=charge)) == number


# ---------------------------------------------------------------------------------------------------------- check


def good() -> Atoms:
    return prepare(water())


def test_a_good_structure_passes():
    check(good())
    check(prepare(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])))
    check(prepare(Atoms("He", cell=[5, 5, 5])))  # a cell alone is no lattice


def test_empty():
    with pytest.raises(StructureError, match="no atoms"):
        prepare(Atoms())


@pytest.mark.parametrize("missing", ["charge", "multiplicity"])
def test_charge_and_multiplicity_must_be_said(missing):
    atoms = good()
    del atoms.info[missing]
    with pytest.raises(StructureError, match=missing):
        check(atoms)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coordinates_must_be_numbers(value):
    atoms = good()
    atoms.positions[2, 1] = value
    with pytest.raises(StructureError, match=r"atom 2 \(H\)"):
        check(atoms)


@pytest.mark.parametrize("distance", [0.0, 0.01, 0.399])
def test_atoms_that_collide(distance):
    atoms = good()
    atoms.positions[2] = atoms.positions[0] + [0, 0, distance]
    with pytest.raises(StructureError, match=rf"atoms 0 \(O\) and 2 \(H\) are {distance:.3f} Å apart"):
        check(atoms)


def test_atoms_that_are_close_but_bonded():
    check(prepare(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.41]])))


def test_collision_among_many_is_found():
    grid = np.stack(np.meshgrid(*[np.arange(12) * 3.0] * 3), axis=-1).reshape(-1, 3)
    positions = np.concatenate([grid, grid[700:701] + 0.1])
    with pytest.raises(StructureError, match=r"atoms 700 \(He\) and 1728 \(He\)"):
        prepare(Atoms("He1729", positions=positions))


def test_unknown_element():
    with pytest.raises(StructureError, match=r"atom 1 is of an unknown element"):
        prepare(Atoms("HX", positions=[[0, 0, 0], [0, 0, 1]]), charge=0, multiplicity=2)


@pytest.mark.parametrize("pbc", [True, [True, False, False], [0, 0, 1]])
def test_periodic(pbc):
    with pytest.raises(StructureError, match="periodic"):
        prepare(Atoms("He", cell=[5, 5, 5], pbc=pbc))


@pytest.mark.parametrize(
    ("charge", "multiplicity"), [(0, 2), (1, 1), (-1, 3), (0, 0), (0, -1), (0, 13), (9, 4), (0, 100)]
)
def test_impossible_spin(charge, multiplicity):
    with pytest.raises(StructureError, match=rf"multiplicity {multiplicity} is impossible .*charge \{charge:+d}"):
        prepare(water(), charge=charge, multiplicity=multiplicity)


@pytest.mark.parametrize(("charge", "multiplicity"), [(0, 1), (0, 3), (0, 11), (1, 2), (9, 2), (8, 3), (-1, 12)])
def test_possible_spin(charge, multiplicity):
    assert prepare(water(), charge=charge, multiplicity=multiplicity).info["multiplicity"] == multiplicity


@pytest.mark.parametrize("charge", [10, 11])
def test_no_electrons_left(charge):
    with pytest.raises(StructureError, match=f"charge .{charge} leaves {10 - charge} electrons"):
        prepare(water(), charge=charge, multiplicity=1)
