"""From structures to records and back, and which of them belong together."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from ase import Atoms

from densitylab.density import BasisError, Density, GaussianBasis, Prior
from densitylab.density.basis import from_shells
from densitylab.labels import FitSettings, LabelError, Store, fit_density
from densitylab.labels.atoms import no_prior
from densitylab.labels.calculation import calculation_key
from densitylab.labels.label import label, stored_structures
from densitylab.labels.records import load_calculation, load_fit, save_calculation, save_fit
from densitylab.labels.source import LabelSource
from densitylab.structures import StructureError, prepare
from densitylab.structures.files import from_files
from tests.labels.calculations import MINIMAL, SMALL, calculation, structure, toy_prior

BASIS = GaussianBasis("small", {"H": ((0, 1.0), (0, 0.3), (1, 0.8)), "O": ((0, 9.0), (0, 1.5), (0, 0.4), (1, 0.9))})
COARSE = FitSettings(grid_level=0)


def label_here(store: Store, atoms: Atoms, basis: GaussianBasis = BASIS, settings: FitSettings = COARSE) -> str:
    return label(atoms, store, MINIMAL, basis, toy_prior(), settings)


# -------------------------------------------------------------------------------------------------------- records


@pytest.mark.parametrize(("name", "level"), [("water", SMALL), ("OH-", MINIMAL), ("OH", SMALL)])
def test_calculation_round_trip(tmp_path, name, level):
    before = calculation(name, level)
    save_calculation(Store(tmp_path), before)
    after = load_calculation(Store(tmp_path), before.key)
    assert after.key == before.key
    assert after.atoms == before.atoms  # numbers, positions, cell: every bit
    assert after.atoms.info == before.atoms.info
    assert (after.level, after.energy, after.seconds) == (before.level, before.energy, before.seconds)
    for array in ("forces", "dipole", "orbitals", "occupations"):
        assert np.array_equal(getattr(after, array), getattr(before, array))
    points = torch.zeros(1, 3, dtype=torch.float64)
    assert torch.equal(after.density_values(points), before.density_values(points))


def test_record_says_where_it_comes_from(tmp_path):
    result = calculation("water")
    save_calculation(Store(tmp_path), result, licence="CC-BY-4.0")
    meta = Store(tmp_path).meta("calculation", result.key)
    assert {"pyscf", "densitylab", "numpy"} <= set(meta["programs"])
    assert meta["licence"] == "CC-BY-4.0"
    assert meta["elements"] == ["H", "O"]
    assert meta["level"]["functional"] == "HF"
    assert meta["info"]["group"]


@pytest.mark.parametrize("value", [np.float64(1.5), np.int64(3), np.arange(9.0).reshape(3, 3), np.bool_(True), "text"])
def test_whatever_a_file_said_about_a_structure_can_be_kept(tmp_path, value):
    """ASE reads ``virial="1 2 3 …"`` on a comment line as an array."""
    result = calculation("H2")
    atoms = result.atoms.copy()
    atoms.info["extra"] = value
    save_calculation(Store(tmp_path), replace(result, atoms=atoms))
    assert np.array_equal(load_calculation(Store(tmp_path), result.key).atoms.info["extra"], value)


def test_fit_round_trip(tmp_path):
    result, store = calculation("water"), Store(tmp_path)
    fit = fit_density(result, BASIS, toy_prior(), COARSE)
    save_fit(store, "f", result.key, fit, BASIS, toy_prior(), COARSE)
    again = load_fit(Store(tmp_path), "f")
    assert np.array_equal(again.coefficients, fit.coefficients)
    assert again.coefficients.dtype == np.float64
    assert again.residuals == fit.residuals
    meta = store.meta("fit", "f")
    assert meta["calculation"] == result.key
    assert GaussianBasis.from_description(meta["basis"]) == BASIS  # a fit can be read without the YAML that made it
    assert Prior.from_description(meta["prior"]) == toy_prior()
    assert meta["constraints"] == ["charge"]


# ---------------------------------------------------------------------------------------------------------- label


def test_label_makes_both_records_once(tmp_path):
    store = Store(tmp_path)
    key = label_here(store, structure("water"))
    assert store.keys("fit") == [key]
    assert store.keys("calculation") == [calculation_key(structure("water"), MINIMAL)]
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")}
    assert label_here(Store(tmp_path), structure("water")) == key
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")} == files


def test_a_new_basis_costs_no_new_calculation(tmp_path):
    store = Store(tmp_path)
    first = label_here(store, structure("water"))
    (record,) = tmp_path.glob("calculation/*")
    before = record.stat().st_mtime_ns
    second = label_here(store, structure("water"), GaussianBasis("s", {"H": ((0, 1.0),), "O": ((0, 1.0), (0, 7.0))}))
    third = label_here(store, structure("water"), settings=replace(COARSE, constraints=("charge", "dipole")))
    assert store.keys("fit") == sorted({first, second, third})
    assert record.stat().st_mtime_ns == before


def test_label_goes_on_after_packing(tmp_path):
    store = Store(tmp_path)
    key = label_here(store, structure("H2"))
    store.pack("one")
    assert label_here(Store(tmp_path), structure("H2")) == key
    assert not list(tmp_path.glob("fit/*"))


def test_label_of_what_cannot_be_calculated(tmp_path):
    collided = structure("H2")
    collided.positions[1] = collided.positions[0]
    with pytest.raises(StructureError, match="apart"):
        label_here(Store(tmp_path), collided)
    assert not list(tmp_path.iterdir())


def test_a_fit_that_succeeds_at_last_clears_the_failure(tmp_path):
    """The calculation was fine and its fit failed; the next time the fit is made."""
    store, result = Store(tmp_path), calculation("H2")
    save_calculation(store, result)
    store.put_failure(result.key, {"error": "LinAlgError: singular matrix"})  # as tasks/label.py does
    label_here(store, structure("H2"))
    assert store.failures() == {}


# ---------------------------------------------------------------------------------------------- stored structures


def test_structures_are_made_once(tmp_path):
    made = []

    def make() -> list[Atoms]:
        made.append(1)
        atoms = prepare(structure("OH-"), group="run 7, frame 3")
        atoms.info["size"] = 1
        return [atoms, structure("OH")]

    recipe = {"_target_": "somewhere.make_ions", "seed": 3, "path": None}  # it could be a file's, but is not
    first = stored_structures(Store(tmp_path), recipe, make)
    again = stored_structures(Store(tmp_path), dict(reversed(recipe.items())), make)
    assert len(made) == 1
    assert [file.name.split("-")[0] for file in tmp_path.glob("structures/*")] == ["make_ions"]
    for a, b, original in zip(first, again, make(), strict=True):
        assert np.array_equal(a.positions, b.positions)  # also the first time they are as read
        assert a.info == b.info
        assert np.abs(a.positions - original.positions).max() < 1e-8  # Å: extended XYZ has 8 decimals
        assert {k: a.info[k] for k in original.info} == original.info
        assert calculation_key(a, MINIMAL) == calculation_key(original, MINIMAL)


def test_another_recipe_is_another_file(tmp_path):
    store = Store(tmp_path)
    for seed in (1, 2):
        stored_structures(store, {"_target_": "a.b", "seed": seed}, lambda: [structure("H2")])
    assert len(list(tmp_path.glob("structures/*"))) == 2


def test_structures_that_could_not_be_made_leave_no_file(tmp_path):
    def fail() -> list[Atoms]:
        raise StructureError("no atoms today")

    with pytest.raises(StructureError, match="today"):
        stored_structures(Store(tmp_path), {"_target_": "a.b"}, fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["path", "paths"])
def test_an_edited_file_is_read_again(tmp_path, key):
    file, store = tmp_path / "mine.xyz", Store(tmp_path / "store")
    recipe = {"_target_": "densitylab.structures.files.from_files", key: str(file)}
    counts = []
    for bond in (0.74, 0.80):
        file.write_text(f"2\n\nH 0 0 0\nH 0 0 {bond}\n")
        (atoms,) = stored_structures(store, recipe, lambda: from_files(str(file)))
        counts.append(round(atoms.get_distance(0, 1), 2))
    assert counts == [0.74, 0.80]


# --------------------------------------------------------------------------------------------------- label source

SHELLS = {"H": {"s": [1.0, 0.3], "p": [0.8]}, "O": {"s": [9.0, 1.5, 0.4], "p": [0.9]}}
make_basis = partial(from_shells, "small", SHELLS)


def open_source(path, level=MINIMAL, basis=make_basis) -> LabelSource:
    return LabelSource(Store(path), level, COARSE, basis, no_prior)


def test_source_fits_what_is_missing_and_loads_it(tmp_path):
    store = Store(tmp_path)
    for name in ("water", "H2"):
        save_calculation(store, calculation(name))
    source = open_source(tmp_path)
    keys = sorted(calculation(name).key for name in ("water", "H2"))
    assert list(source.infos()) == keys
    assert source.infos()[calculation("water").key]["group"] == "H2O"
    with pytest.raises(LabelError, match="task=label"):
        source.load(keys[0])
    source.complete(keys)
    loaded = source.load(calculation("water").key)
    expected = fit_density(calculation("water"), source.basis, Prior.none(), COARSE)
    assert np.array_equal(loaded.fit.coefficients, expected.coefficients)
    density = Density.from_basis(loaded.basis, loaded.calculation.atoms, torch.as_tensor(loaded.fit.coefficients))
    assert float(density.electrons()) == pytest.approx(10, abs=1e-8)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")}
    open_source(tmp_path).complete(keys)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")} == files


def test_source_sees_its_own_level_only(tmp_path):
    save_calculation(Store(tmp_path), calculation("H2"))
    save_calculation(Store(tmp_path), calculation("water", SMALL))
    assert list(open_source(tmp_path).infos()) == [calculation("H2").key]
    assert list(open_source(tmp_path, SMALL).infos()) == [calculation("water", SMALL).key]


def test_source_asks_for_the_elements_it_finds(tmp_path):
    save_calculation(Store(tmp_path), calculation("H2"))
    assert list(open_source(tmp_path).basis.elements) == ["H"]
    methane = prepare(Atoms("C", positions=[[0, 0, 0]]), multiplicity=3)
    with pytest.raises(BasisError, match="no functions for C"):
        open_source(tmp_path).label(methane)


def test_source_labels_a_structure(tmp_path):
    source = open_source(tmp_path)
    key = source.label(structure("H2"))
    assert source.store.meta("fit", key)["calculation"] == calculation("H2").key
    assert list(source.infos()) == [calculation("H2").key]
