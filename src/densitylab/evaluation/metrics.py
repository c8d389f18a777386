"""Metrics as ``results.json`` holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from densitylab.evaluation.density import Errors, unit


def metric(name: str, value: float, unit: str, split: str, group: str) -> dict[str, Any]:
    """One number with its unit and what it belongs to."""
    return {"name": name, "value": value, "unit": unit, "split": split, "group": group}


def summarise(errors: Iterable[Errors], split: str) -> list[dict[str, Any]]:
    """Mean over the structures of every group, and over all of them (group ``all``); |electrons| is averaged."""
    groups: dict[str, list[dict[str, float]]] = defaultdict(list)
    for error in errors:
        groups[error.group].append(error.values())
        groups["all"].append(error.values())
    return [
        metric(name, fmean(abs(values[name]) for values in members if name in values), unit(name), split, group)
        for group, members in sorted(groups.items())
        for name in dict.fromkeys(name for values in members for name in values)
    ]
