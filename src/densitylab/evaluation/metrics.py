"""Metrics as ``results.json`` holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from densitylab.evaluation.density import UNITS, Errors


def metric(name: str, value: float, unit: str, split: str, group: str) -> dict[str, Any]:
    """One number with its unit and what it belongs to."""
    return {"name": name, "value": value, "unit": unit, "split": split, "group": group}


def summarise(errors: Iterable[Errors], split: str) -> list[dict[str, Any]]:
    """Mean over the structures of every group, and over all of them (group ``all``); |electrons| is averaged."""
    groups: dict[str, list[Errors]] = defaultdict(list)
    for error in errors:
        groups[error.group].append(error)
        groups["all"].append(error)
    return [
        metric(name, fmean(abs(getattr(error, name)) for error in members), unit, split, group)
        for group, members in sorted(groups.items())
        for name, unit in UNITS.items()
    ]
