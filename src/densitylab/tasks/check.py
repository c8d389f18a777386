"""``task=check``: is everything in a store what it says it is?"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from densitylab.outlook import Outlook
from densitylab.report.table import print_table

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.runs import Run


def check(
    config: DictConfig, run: Run, store: str, near_angstrom: float = 0.01, finite_difference: bool = False
) -> list[dict[str, Any]]:
    """Check every record of ``store`` and print a verdict per check; see ``docs/labels.md``, Trust.

    Structures closer than ``near_angstrom`` must not stand in different splits of ``config.dataset``.
    ``finite_difference`` compares one force with the energies of displaced structures, which takes two calculations.

    Raises
    ------
    LabelError
        If a check failed; what failed is in the table.
    """
    from densitylab.evaluation.metrics import metric
    from densitylab.labels import LabelError, Store
    from densitylab.labels.audit import audit

    opened = Store(store, frozen=True)
    if not opened.keys("calculation") + opened.keys("fit"):
        raise LabelError(f"{store} has no labels to check")
    verdicts = audit(opened, lambda group: _split(config, group), near_angstrom, finite_difference)
    rows = [
        [v.check, v.verdict, v.checked, "" if v.worst is None else f"{v.worst:.2g}", v.unit, v.where] for v in verdicts
    ]
    print_table(["check", "verdict", "checked", "worst", "unit", "where"], rows)
    failed = [v.check for v in verdicts if v.verdict == "failed"]
    if failed:
        raise LabelError(f"{store}: {len(failed)} checks failed: {', '.join(failed)}")
    return [metric(v.check, v.worst, v.unit, "check", v.verdict) for v in verdicts if v.worst is not None]


def outlook(config: DictConfig) -> Outlook:
    """Count the records; see :mod:`densitylab.outlook`."""
    from densitylab.labels import Store

    store = Store(config.task.store, frozen=True)
    return Outlook([f"{len(store.keys('calculation'))} calculations, {len(store.keys('fit'))} fits"])


def _split(config: DictConfig, group: str) -> str | None:
    """The split that a dataset's patterns give a group."""
    for name in ("train", "validation", "test"):
        if any(fnmatchcase(group, pattern) for pattern in config.dataset.get(f"{name}_groups") or []):
            return name
    return None
