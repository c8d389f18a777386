"""From a structure to a label in the store: what is there is not made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from densitylab.density import GaussianBasis, Prior
from densitylab.files import write_atomically
from densitylab.keys import fingerprint
from densitylab.labels.calculation import calculation_key
from densitylab.labels.checks import check_calculation, require_sound
from densitylab.labels.claims import claim_in_turn
from densitylab.labels.fit import FitSettings, fit_density
from densitylab.labels.level import Level
from densitylab.labels.records import load_calculation, save_calculation, save_fit
from densitylab.labels.scf import Engine, calculate
from densitylab.labels.store import Store
from densitylab.structures.files import extended_xyz, from_files


def stored_structures(store: Store, recipe: Mapping[str, Any], make: Callable[[], list[Atoms]]) -> list[Atoms]:
    """The structures of a recipe, made on the first call and read from the store ever after.

    Molecular dynamics is not bit-reproducible across machines: made again, structures would miss their labels and
    start quantum chemistry by surprise. Files are read anew: they hold what their author last wrote.
    """
    file = structures_file(store, recipe)
    if file is None:
        return make()
    if not file.is_file():
        store.check_writable()
        with claim_in_turn(store.path / "claims" / file.stem):
            if not file.is_file():  # another process may have been faster
                write_atomically(file, extended_xyz(make()))
    return from_files(str(file))


def structures_file(store: Store, recipe: Mapping[str, Any]) -> Path | None:
    """Where the structures of a recipe are, or will be, kept; None for those that are read from files."""
    if recipe.get("path") or recipe.get("paths"):
        return None
    function = str(recipe.get("_target_", "structures")).rsplit(".")[-1]
    return store.path / "structures" / f"{function}-{fingerprint(dict(recipe))[:10]}.extxyz"


def label(
    atoms: Atoms, store: Store, level: Level, basis: GaussianBasis, prior: Prior, settings: FitSettings,
    licence: str | None = None, engine: Engine = "pyscf",
) -> str:  # fmt: skip
    """Make sure that calculation and fit of a structure are in the store; returns the key of the fit.

    Raises
    ------
    StructureError, LabelError, BasisError
        Why there is no label.
    """
    key = calculation_key(atoms, level)
    fit_key = settings.key(key, set(atoms.symbols), basis, prior)
    if store.has("calculation", key):
        if store.has("fit", fit_key):
            store.clear_failure(key)
            return fit_key
        calculation = load_calculation(store, key)
    else:
        store.check_writable()
        calculation = calculate(atoms, level, engine)
        require_sound(check_calculation(calculation))
        save_calculation(store, calculation, licence)
    save_fit(store, fit_key, key, fit_density(calculation, basis, prior, settings), basis, prior, settings)
    store.clear_failure(key)
    return fit_key
