"""Several processes, one list of structures, one store: everything once, and nothing lost with a process."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from ase import Atoms

from densitylab.density.basis import from_shells
from densitylab.labels import FitSettings, LabelError, Store, StoreError
from densitylab.labels.atoms import superposed_atoms
from densitylab.labels.calculation import calculation_key
from densitylab.labels.label import stored_structures
from densitylab.labels.scf import calculate
from densitylab.labels.share import MOST_LOST, Outcome, label_all
from densitylab.labels.source import LabelSource
from tests.conftest import bent_water
from tests.labels.calculations import MINIMAL, structure
from tests.labels.test_claims import lose, owner
from tests.labels.test_label import SHELLS

WATERS = [bent_water(0.02 * index, f"g{index}") for index in range(6)]


def open_source(path) -> LabelSource:
    basis = partial(from_shells, "s", SHELLS)
    return LabelSource(Store(path), MINIMAL, FitSettings(grid_level=0), basis, superposed_atoms)


def outcomes(path, structures, command="c") -> list[Outcome]:
    found = sorted(label_all(structures, open_source(path), command), key=lambda pair: pair[0])
    return [outcome for _, outcome in found]


@pytest.fixture
def calculated(monkeypatch) -> list[str]:
    """Keys of what is calculated, as it happens; a triplet of water fails."""
    keys: list[str] = []

    def counted(atoms, level, engine):
        keys.append(calculation_key(atoms, level))
        if atoms.info["multiplicity"] == 3:
            raise LabelError("no convergence")
        return calculate(atoms, level, engine)

    monkeypatch.setattr("densitylab.labels.label.calculate", counted)
    return keys


def triplet() -> Atoms:
    atoms = structure("water")
    atoms.info["multiplicity"] = 3
    return atoms


def test_two_at_a_time_calculate_everything_once(tmp_path, calculated):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: outcomes(tmp_path, [*WATERS, triplet()]), range(2))
    assert first == second
    assert [bool(outcome.key) for outcome in first] == [True] * 6 + [False]
    assert first[-1].reason == "no convergence"
    assert sorted(calculated) == sorted(calculation_key(atoms, MINIMAL) for atoms in [*WATERS, triplet()])
    store = Store(tmp_path)
    assert len(store.keys("fit")) == 6
    assert [store.meta("fit", outcome.key)["calculation"] for outcome in first[:6]] == [
        calculation_key(atoms, MINIMAL) for atoms in WATERS
    ]
    assert not (tmp_path / "claims").exists()


def test_a_failure_is_tried_again_by_the_next_command_only(tmp_path, calculated):
    for command, times in (("one", 1), ("one", 1), ("two", 2)):
        (outcome,) = outcomes(tmp_path, [triplet()], command)
        assert outcome.reason == "no convergence"
        assert len(calculated) == times
    (failure,) = Store(tmp_path).failures().values()
    assert failure["error"] == "LabelError: no convergence"


def test_what_a_killed_process_had_is_done_by_the_one_that_waits(tmp_path, calculated):
    process = owner(tmp_path / "claims" / calculation_key(WATERS[0], MINIMAL))
    done = []
    for index, outcome in label_all(WATERS[:3], open_source(tmp_path), "c"):
        done.append(index)
        assert outcome.key
        if len(done) == 2:
            threading.Timer(0.5, process.kill).start()
    process.join()
    assert done == [1, 2, 0]  # meanwhile it did what was free
    assert calculated[-1] == calculation_key(WATERS[0], MINIMAL)


def test_a_structure_that_kills_its_processes_is_given_up(tmp_path, calculated):
    file = tmp_path / "claims" / calculation_key(WATERS[0], MINIMAL)
    file.parent.mkdir()
    for _ in range(MOST_LOST):
        lose(file)
    bad, good = outcomes(tmp_path, WATERS[:2])
    assert "3 processes were lost while they worked on it (out of memory?)" in bad.reason
    assert good.key
    assert len(calculated) == 1
    assert outcomes(tmp_path, WATERS[:1], "another command")[0].key


def test_a_store_that_cannot_be_written_ends_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        outcomes(tmp_path / "file", WATERS)


def test_structures_are_made_by_one_process_and_read_by_the_others(tmp_path):
    made, started = [], threading.Barrier(2)

    def make() -> list[Atoms]:
        made.append(1)
        threading.Event().wait(0.5)  # long enough for the other to come
        return WATERS

    def read(_: int) -> list[Atoms]:
        started.wait()
        return stored_structures(Store(tmp_path), {"_target_": "a.b"}, make)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(read, range(2))
    assert len(made) == 1
    assert first == second


def test_a_prior_is_made_by_one_process(tmp_path, monkeypatch):
    made = []

    def put(store, *arguments):
        made.append(arguments[1])
        threading.Event().wait(0.3)
        original(store, *arguments)

    original = Store.put
    monkeypatch.setattr(Store, "put", put)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: superposed_atoms({"H"}, MINIMAL, Store(tmp_path)), range(2))
    assert len(made) == 1
    assert first == second


def test_a_store_sees_what_another_process_packs(tmp_path):
    (outcome,) = outcomes(tmp_path, WATERS[:1])
    before, key = Store(tmp_path), calculation_key(WATERS[0], MINIMAL)
    arrays = Store(tmp_path).get("fit", outcome.key).arrays
    Store(tmp_path).pack("one")
    assert before.has("calculation", key)
    assert before.meta("calculation", key)["elements"] == ["H", "O"]
    assert (before.get("fit", outcome.key).arrays["coefficients"] == arrays["coefficients"]).all()
