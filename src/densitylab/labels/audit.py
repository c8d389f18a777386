"""A whole store, record by record: a verdict for every check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from densitylab.density import Density, GaussianBasis, Prior
from densitylab.labels.calculation import Calculation
from densitylab.labels.checks import Finding
from densitylab.labels.duplicates import leaks
from densitylab.labels.gather import Found, gather
from densitylab.labels.level import LabelError
from densitylab.labels.records import load_calculation, load_fit
from densitylab.labels.signs import correlation, finite_difference, has_forces
from densitylab.labels.store import Store

_PER_RECORD = ("electrons", "dipole", "net force", "net torque", "basis rows", "fitted electrons", "fitted dipole")
_SAMPLE = 20  # of the smallest structures, for the sign of the forces
_CLEAR = 0.2  # correlations below it say nothing
_FORCE_ERROR, _FORCE_FRACTION = 1e-3, 0.02  # hartree/bohr: coarse grids, other programs


@dataclass(frozen=True)
class Verdict:
    """What one check found: how many were looked at, the worst value, and where it is."""

    check: str
    verdict: Literal["ok", "failed", "skipped"]
    checked: int = 0
    worst: float | None = None
    unit: str = ""
    where: str = ""


def audit(
    store: Store, split_of: Callable[[str], str | None], near_angstrom: float = 0.01, differences: bool = False
) -> list[Verdict]:
    """Check every record of a store, at every level.

    Parameters
    ----------
    split_of: name of the split to which a group belongs, None if to none. If no group belongs to any, every group
        counts as a split of its own.
    near_angstrom: structures closer than this are near-duplicates (:func:`~.duplicates.near_duplicates`).
    differences: compare one force with energies of displaced structures: two calculations.
    """
    found = gather(store)
    return [
        _listed("readable records", len(store.keys("calculation")) + len(store.keys("fit")), found.damaged),
        *(_summary(check, found.findings[check]) for check in _PER_RECORD),
        _listed("fits have calculations", len(store.keys("fit")), found.orphans),
        _sign(store, found),
        _difference(store, found, differences),
        _duplicates(found, split_of, near_angstrom),
        _levels(found),
    ]


def _summary(check: str, seen: list[tuple[Finding, str]]) -> Verdict:
    if not seen:
        return Verdict(check, "skipped", where="no record has what it takes")
    worst, where = max(seen, key=lambda pair: abs(pair[0].value) / (pair[0].limit or 1e-300))
    failures = sum(finding.failed for finding, _ in seen)
    text = f"{failures} failed, worst: {where}" if failures else where
    return Verdict(check, "failed" if failures else "ok", len(seen), worst.value, worst.unit, text)


def _listed(check: str, checked: int, bad: list[str]) -> Verdict:
    if not bad:
        return Verdict(check, "ok", checked)
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return Verdict(check, "failed", checked, where=f"{bad[0]}{more}")


def _smallest(store: Store, found: Found) -> list[Calculation]:
    """The smallest structures that have forces."""
    kept: list[Calculation] = []
    for key in sorted(found.atoms, key=lambda key: (len(found.atoms[key]), key)):
        calculation = load_calculation(store, key)
        if has_forces(calculation) and (calculation.orbitals.size or key in found.fits):
            kept.append(calculation)
        if len(kept) == _SAMPLE:
            break
    return kept


def _sign(store: Store, found: Found) -> Verdict:
    sample = _smallest(store, found)
    value = correlation((calculation, _density(store, found, calculation)) for calculation in sample)
    if not abs(value) > _CLEAR:  # NaN as well
        return Verdict("sign of forces", "skipped", len(sample), where="no hydrogen with forces to tell by")
    told = "correlation with Hellmann-Feynman forces on hydrogen" + ("" if value > 0 else ": these are gradients")
    return Verdict("sign of forces", "ok" if value > 0 else "failed", len(sample), value, "", told)


def _density(store: Store, found: Found, calculation: Calculation) -> Density | None:
    """The fitted density of what has no orbitals."""
    if calculation.orbitals.size:
        return None
    key = found.fits[calculation.key]
    meta, atoms = store.meta("fit", key), calculation.atoms
    basis, prior = GaussianBasis.from_description(meta["basis"]), Prior.from_description(meta["prior"])
    return Density.from_basis(basis, atoms, torch.as_tensor(load_fit(store, key).coefficients)) + prior.density(atoms)


def _difference(store: Store, found: Found, wanted: bool) -> Verdict:
    name = "force by difference"
    sample = _smallest(store, found) if wanted else []
    if not sample:
        return Verdict(
            name, "skipped", where="no forces" if wanted else "two calculations: task.finite_difference=true"
        )
    least = len(sample[0].atoms)
    chosen = max((c for c in sample if len(c.atoms) == least), key=lambda c: float((c.forces**2).sum()))
    try:
        stored, numeric = finite_difference(chosen)
    except LabelError as reason:
        return Verdict(name, "skipped", where=str(reason))
    error, limit = abs(stored - numeric), max(_FORCE_ERROR, _FORCE_FRACTION * stored)
    where = f"{chosen.key}: {stored:.5f} stored, {numeric:.5f} from energies"
    return Verdict(name, "ok" if error < limit else "failed", 1, error, "hartree/bohr", where)


def _duplicates(found: Found, split_of: Callable[[str], str | None], near_angstrom: float) -> Verdict:
    pairs: list[tuple[float, str, str]] = []
    for level in set(found.levels.values()):
        pairs += leaks({key: atoms for key, atoms in found.atoms.items() if found.levels[key] == level}, near_angstrom)
    group = {key: str(atoms.info["group"]) for key, atoms in found.atoms.items()}
    split = {key: split_of(name) for key, name in group.items()}
    known = any(split.values())
    bad = [pair for pair in sorted(pairs) if not known or None is not split[pair[1]] != split[pair[2]] is not None]
    where = f"{len(pairs)} pairs closer than {near_angstrom:g} Å in different groups"
    where += f", {len(bad)} in different splits" if known else ""
    where += ": " + " and ".join(f"{key} ({group[key]})" for key in bad[0][1:]) if bad else ""
    closest = min(bad or pairs, default=(None,))[0]
    return Verdict("near-duplicates", "failed" if bad else "ok", len(found.atoms), closest, "Å", where)


def _levels(found: Found) -> Verdict:
    """Not a mistake: the same structure at another level is another record."""
    counts = Counter(found.levels.values())
    where = ", ".join(f"{count} at {level}" for level, count in counts.most_common())
    structures = Counter(
        (tuple(a.numbers), a.positions.round(6).tobytes(), a.info["charge"], a.info["multiplicity"])
        for a in found.atoms.values()
    )
    several = sum(count > 1 for count in structures.values())
    return Verdict("levels", "ok", len(found.atoms), where=where + f"; {several} structures at several" * bool(several))
