"""One pass over the records of a store, and what the checks of each of them found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ase import Atoms

from densitylab.density import GaussianBasis, Prior
from densitylab.labels.calculation import Calculation
from densitylab.labels.checks import Finding, check_calculation, check_fit
from densitylab.labels.level import Level
from densitylab.labels.record_file import StoreError
from densitylab.labels.records import load_calculation, load_fit
from densitylab.labels.store import Kind, Store

Loaded = TypeVar("Loaded")


@dataclass
class Found:
    """By check, what it found and where; by key of a calculation, its structure, level and one of its fits."""

    findings: dict[str, list[tuple[Finding, str]]] = field(default_factory=lambda: defaultdict(list))
    atoms: dict[str, Atoms] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    fits: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def gather(store: Store) -> Found:
    """Read and check every record. What cannot be read is noted, not raised."""
    found = Found()
    for key, calculation in _readable(store, "calculation", load_calculation, found):
        found.atoms[key], found.levels[key] = calculation.atoms, calculation.level
        _note(found, check_calculation, key, calculation)
    for key, fit in _readable(store, "fit", load_fit, found):
        meta = store.meta("fit", key)
        of = meta["calculation"]
        if of not in found.atoms:
            found.orphans.append(f"fit {key} of {of}")
            continue
        found.fits[of] = key
        basis, prior = GaussianBasis.from_description(meta["basis"]), Prior.from_description(meta["prior"])
        _note(found, check_fit, of, load_calculation(store, of), fit, basis, prior, meta["constraints"])
    return found


def _readable(
    store: Store, kind: Kind, load: Callable[[Store, str], Loaded], found: Found
) -> Iterator[tuple[str, Loaded]]:
    for key in store.keys(kind):
        try:
            record = load(store, key)
        except StoreError as error:
            found.damaged.append(str(error))
            continue
        yield key, record


def _note(
    found: Found, check: Callable[..., Iterable[Finding]], key: str, calculation: Calculation, *more: Any
) -> None:
    atoms = calculation.atoms
    where = f"{key} ({atoms.get_chemical_formula()}, {atoms.info['group']})"
    for finding in check(calculation, *more):
        found.findings[finding.check].append((finding, where))
