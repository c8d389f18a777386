"""A list of structures and any number of processes: whoever is free labels the next one that nobody has.

There is no plan of who does what, so nothing has to be planned anew when a process is lost or another one joins in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from densitylab.labels.calculation import calculation_key
from densitylab.labels.claims import claim
from densitylab.labels.level import LabelError
from densitylab.labels.record_file import StoreError

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.labels.source import LabelSource

MOST_LOST = 3  # processes: a structure that has cost so many, of memory for example, will cost the next one too
_GLANCE_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """Key of the fit, or the reason why there is none."""

    key: str = ""
    reason: str = ""


def label_all(structures: Sequence[Atoms], source: LabelSource, command: str) -> Iterator[tuple[int, Outcome]]:
    """Label what has no label yet; yields index and outcome of every structure as soon as they are known.

    Other processes may do the same with the same store: what one of them has labelled, or has failed to label for the
    same ``command``, is settled for all. Ends when all is settled, so the last process alone would finish the work.

    Raises
    ------
    StoreError
        If the store cannot be read or written.
    """
    open_ = dict(enumerate(structures))
    while open_:
        before = len(open_)
        for index, atoms in list(open_.items()):
            if outcome := _settle(atoms, source, command):
                del open_[index]
                yield index, outcome
        if len(open_) == before:  # all that is left is in the hands of others
            time.sleep(_GLANCE_S)


def _settle(atoms: Atoms, source: LabelSource, command: str) -> Outcome | None:
    """The outcome for one structure, computed if nobody has and nobody does; None while another process does."""
    key = calculation_key(atoms, source.level)
    try:
        if known := _known(key, atoms, source, command):
            return known
        source.store.check_writable()
        with claim(source.store.path / "claims" / key, command) as lost:
            if lost is None:
                return None
            return _known(key, atoms, source, command) or _label(key, atoms, source, command, lost)
    except StoreError:
        raise  # not this structure's fault, and the next one would be computed for nothing
    except (ValueError, RuntimeError, ArithmeticError) as error:  # a prior or basis that cannot be made
        return _failed(key, atoms, source, command, error)


def _label(key: str, atoms: Atoms, source: LabelSource, command: str, lost: int) -> Outcome:
    """Recorded before the claim is given up: nobody tries the same again."""
    try:
        if lost >= MOST_LOST:
            raise LabelError(f"{lost} processes were lost while they worked on it (out of memory?)")
        return Outcome(source.label(atoms))
    except StoreError:
        raise
    except (ValueError, RuntimeError, ArithmeticError) as error:  # ours, and what PySCF raises
        return _failed(key, atoms, source, command, error)


def _known(key: str, atoms: Atoms, source: LabelSource, command: str) -> Outcome | None:
    """What the store says."""
    if fit := source.find(atoms):
        source.store.clear_failure(key)
        return Outcome(fit)
    failure = source.store.failure(key) or {}
    return Outcome(reason=failure["reason"]) if failure.get("command") == command else None


def _failed(key: str, atoms: Atoms, source: LabelSource, command: str, error: Exception) -> Outcome:
    meta = {"error": f"{type(error).__name__}: {error}", "reason": str(error), "command": command}
    meta |= {"formula": atoms.get_chemical_formula(), "group": atoms.info["group"]}
    source.store.put_failure(key, meta)
    return Outcome(reason=str(error))
