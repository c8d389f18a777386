"""A small, real store: labels of hydrogen and water at a cheap level, made once per session (seconds)."""

import signal
from functools import partial

import pytest
from ase import Atoms

from densitylab.density.basis import from_basis_set_exchange
from densitylab.labels import FitSettings, Level, Store, calculate
from densitylab.labels.atoms import superposed_atoms
from densitylab.labels.records import save_calculation
from densitylab.labels.source import LabelSource
from densitylab.structures import prepare

# A shell that runs the tests in the background lets its children ignore Ctrl-C; some tests send one.
signal.signal(signal.SIGINT, signal.default_int_handler)

CHEAP = Level(functional="HF", basis="sto-3g", density_fit=False)


def bent_water(stretch: float, group: str) -> Atoms:
    """Water with one bond stretched by so many Å."""
    positions = [[0, 0, 0], [0.96 + stretch, 0, 0], [-0.24, 0.93, 0]]
    atoms = prepare(Atoms("OHH", positions=positions), group=group)
    atoms.info["size"] = 1
    return atoms


@pytest.fixture(scope="session")
def cheap_store(tmp_path_factory) -> Store:
    """Six waters in groups a (3), b (2) and c (1)."""
    store = Store(tmp_path_factory.mktemp("store"))
    for index, group in enumerate("aaabbc"):
        save_calculation(store, calculate(bent_water(0.05 * index, group), CHEAP))
    return store


@pytest.fixture(scope="session")
def source(cheap_store) -> LabelSource:
    """Their fits in a small basis."""
    basis = partial(from_basis_set_exchange, "def2-universal-JFIT")
    source = LabelSource(cheap_store, CHEAP, FitSettings(grid_level=0), basis, superposed_atoms)
    source.complete(list(source.infos()))
    return source
