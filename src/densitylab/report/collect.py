"""Rows from a directory of runs, read from disk: also what failed, also what another machine ran."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

THREE = ("epsilon_floor", "epsilon_network", "epsilon_total")


@dataclass(frozen=True)
class Row:
    """Floor, network and total error of one run on one group of the test split, in %."""

    run: str
    x: Any
    line: Any
    group: str
    epsilon_floor: float
    epsilon_network: float
    epsilon_total: float


def collect(folder: Path, x: str, line: str, split: str = "test") -> tuple[list[Row], dict[str, str]]:
    """Rows of all finished runs below ``folder``, and run → reason for the others.

    ``x`` and ``line`` are dotted paths into a run's configuration.
    """
    rows: list[Row] = []
    others: dict[str, str] = {}
    for file in sorted(folder.glob("**/config.yaml")):
        name = str(file.parent.relative_to(folder))
        results_file = file.parent / "results.json"
        results: dict[str, Any] = (
            json.loads(results_file.read_text()) if results_file.exists() else {"status": "interrupted"}
        )
        if results["status"] != "finished":
            others[name] = f"{results['status']}: {results.get('error') or 'no result yet'}"
            continue
        config = OmegaConf.load(file)
        values = {(m["group"], m["name"]): m["value"] for m in results["metrics"] if m["split"] == split}
        groups = {group for group, metric in values if metric in THREE}
        for group in sorted(groups if len(groups) > 2 else groups - {"all"} or groups):  # one group is "all" of them
            three: dict[str, Any] = {metric: values[group, metric] for metric in THREE}
            rows.append(Row(name, OmegaConf.select(config, x), OmegaConf.select(config, line), group, **three))
    return sorted(rows, key=lambda row: (row.group, str(row.line), row.x is None, row.x)), others
