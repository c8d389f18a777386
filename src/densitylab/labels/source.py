"""Which labels of a store belong together: one level of theory, one basis, one prior, one kind of fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ase import Atoms
from tqdm import tqdm

from densitylab.density import GaussianBasis, Prior
from densitylab.labels.calculation import Calculation, calculation_key
from densitylab.labels.convert import subtract_prior
from densitylab.labels.fit import Fit, FitSettings, fit_density
from densitylab.labels.label import label
from densitylab.labels.level import LabelError, Level
from densitylab.labels.records import Label, load_calculation, load_fit, save_fit
from densitylab.labels.scf import Engine
from densitylab.labels.store import Store
from densitylab.lock import exclusive


@dataclass(frozen=True)
class LabelSource:
    """The labels of ``store`` at ``level``, in the representation that ``make_basis``, ``make_prior`` and ``fit`` make.

    ``licence`` is written into new records; ``engine`` makes new calculations. ``make_basis(elements=…)`` and
    ``make_prior(symbols=…, level=…, store=…)`` are asked for ``elements``, or else for those of all calculations at
    this level.
    """

    store: Store
    level: Level
    fit: FitSettings
    make_basis: Callable[..., GaussianBasis]
    make_prior: Callable[..., Prior]
    licence: str | None = None
    elements: frozenset[str] | None = None
    engine: Engine = "pyscf"

    def of(self, keys: Iterable[str], elements: Iterable[str] | None = None) -> LabelSource:
        """The same labels; the representation covers ``elements``, or else those of the calculations ``keys``."""
        found = (symbol for key in keys for symbol in self.store.meta("calculation", key)["elements"])
        return replace(self, elements=frozenset(found if elements is None else elements))

    @cached_property
    def basis(self) -> GaussianBasis:
        """For all elements. Raises :class:`BasisError` if it lacks one."""
        return self.make_basis(elements=self._symbols)

    @cached_property
    def prior(self) -> Prior:
        """For all elements."""
        return self.make_prior(symbols=self._symbols, level=self.level, store=self.store)

    def label(self, atoms: Atoms) -> str:
        """Make sure that calculation and fit of a structure are in the store; returns the key of the fit.

        Raises
        ------
        StructureError, LabelError, BasisError
            Why there is no label.
        """
        return label(atoms, self.store, self.level, *self._of_elements(atoms), self.fit, self.licence, self.engine)

    def find(self, atoms: Atoms) -> str | None:
        """Key of the fit of a structure, if calculation and fit are in the store.

        Raises
        ------
        LabelError, BasisError
            If basis or prior cannot be made.
        """
        key = calculation_key(atoms, self.level)
        if not self.store.has("calculation", key):
            return None
        fit = self.fit.key(key, set(atoms.symbols), *self._of_elements(atoms))
        return fit if self.store.has("fit", fit) else None

    def infos(self) -> dict[str, dict[str, Any]]:
        """Key → ``Atoms.info`` (group, size, charge …) of every calculation at this level, sorted by key.

        Raises
        ------
        LabelError
            If there are none; the message says what levels are there.
        """
        found = {key: meta["info"] for key, meta in _at_level(self.store, self.level)}
        if found:
            return found
        metas = (self.store.meta("calculation", key) for key in self.store.keys("calculation"))
        counts = Counter(str(Level(**meta["level"])) for meta in metas)
        there = ", ".join(f"{count} at {level}" for level, count in counts.items()) or "no labels at all"
        raise LabelError(f"{self.store.path} has nothing at {self.level} (see task=label); there are {there}")

    def size(self, key: str) -> int:
        """Number of atoms of a calculation."""
        return len(self.store.get("calculation", key).arrays["numbers"])

    def unfitted(self, keys: Iterable[str]) -> list[str]:
        """Those of the calculations ``keys`` that have no fit in this representation."""
        return [key for key in keys if not self.store.has("fit", self._fit_key(key))]

    def complete(self, keys: list[str]) -> None:
        """Fit what has no fit in this representation yet, from the stored orbitals: no new quantum chemistry.

        Raises
        ------
        LabelError
            If a calculation was imported without orbitals, in another basis.
        """
        missing = self.unfitted(keys)
        if not missing:
            return
        self.store.check_writable()
        with exclusive(self.store.path, wait=True):  # another process may have been faster
            for key in tqdm(self.unfitted(missing), desc=f"fitting in {self.basis.name}", unit="structure"):
                fit = self._new_fit(load_calculation(self.store, key))
                save_fit(self.store, self._fit_key(key), key, fit, self.basis, self.prior, self.fit)

    def load(self, key: str) -> Label:
        """Calculation and fit. Raises :class:`LabelError` if the fit is not there (see :meth:`complete`)."""
        fit_key = self._fit_key(key)
        if not self.store.has("fit", fit_key):
            raise LabelError(f"{self.store.path} has no fit of {key} in {self.basis.name}; run task=label")
        return Label(load_calculation(self.store, key), load_fit(self.store, fit_key), self.basis, self.prior)

    def _new_fit(self, calculation: Calculation) -> Fit:
        """From the orbitals, or else from an imported fit of the whole density in the same basis."""
        if calculation.orbitals.size:
            return fit_density(calculation, self.basis, self.prior, self.fit)
        whole = self.fit.key(calculation.key, set(calculation.atoms.symbols), self.basis, Prior.none())
        if not self.store.has("fit", whole):
            raise LabelError(f"{calculation.key} was imported without orbitals, and not in the basis {self.basis.name}")
        return subtract_prior(load_fit(self.store, whole), calculation.atoms, self.basis, self.prior, self.fit)

    def _fit_key(self, key: str) -> str:
        return self.fit.key(key, set(self.store.meta("calculation", key)["elements"]), self.basis, self.prior)

    def _of_elements(self, atoms: Atoms) -> tuple[GaussianBasis, Prior]:
        """Basis and prior of one structure's elements, made once: reading them again takes longer than a small fit."""
        symbols = frozenset(atoms.symbols)
        if symbols not in self._made:
            basis = self.make_basis(elements=set(symbols))  # first: it costs nothing to find an element missing here
            self._made[symbols] = basis, self.make_prior(symbols=set(symbols), level=self.level, store=self.store)
        return self._made[symbols]

    @cached_property
    def _made(self) -> dict[frozenset[str], tuple[GaussianBasis, Prior]]:
        return {}

    @cached_property
    def _symbols(self) -> set[str]:
        if self.elements is not None:
            return set(self.elements)
        return {symbol for _, meta in _at_level(self.store, self.level) for symbol in meta["elements"]}


def own_level(store: Store, level: Level) -> Level:
    """The level with the functions of an import: ``basis=own`` stands for the text that the store has.

    Raises
    ------
    LabelError
        If imports with different functions differ in nothing else.
    """
    metas = (store.meta("calculation", key) for key in store.keys("calculation"))
    levels = {Level(**meta["level"]) for meta in metas if "\n" in meta["level"]["basis"]}
    alike = {known for known in levels if replace(known, basis=level.basis) == level}
    if level.basis != "own" or not alike:
        return level
    if len(alike) > 1:
        raise LabelError(
            f"{store.path} has {len(alike)} sets of own functions at {level}: keep them in stores of their own"
        )
    return alike.pop()


def _at_level(store: Store, level: Level) -> list[tuple[str, dict[str, Any]]]:
    metas = [(key, store.meta("calculation", key)) for key in store.keys("calculation")]
    return [(key, meta) for key, meta in metas if Level(**meta["level"]) == level]
