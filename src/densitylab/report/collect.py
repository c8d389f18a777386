"""Rows from a directory of runs, read from disk: also what failed, also what another machine ran."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

THREE = ("epsilon_floor", "epsilon_network", "epsilon_total")


@dataclass(frozen=True)
class Row:
    """Floor, network and total error of one run on one group of the test split, in %; NaN what is not known."""

    run: str
    x: Any
    line: str
    group: str
    seed: int
    epsilon_floor: float
    epsilon_network: float
    epsilon_total: float


def collect(folder: Path, x: str, lines: list[str], split: str = "test") -> tuple[list[Row], dict[str, str]]:
    """Rows of all finished runs below ``folder``, and run → reason for the others.

    ``x`` and ``lines`` are dotted paths into a run's configuration. A ``dataset.train_size`` of null is what was there.
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
        rows += _rows(file.parent, name, results, x, lines, split)
    return sorted(rows, key=lambda row: (row.group, _natural(row.line), row.x is None, row.x, row.seed)), others


def _rows(run: Path, name: str, results: dict[str, Any], x: str, lines: list[str], split: str) -> list[Row]:
    config: Any = OmegaConf.load(run / "config.yaml")
    values = {(m["group"], m["name"]): m["value"] for m in results["metrics"] if m["split"] == split}
    groups = {group for group, metric in values if metric in THREE}
    shown = sorted(groups if len(groups) > 2 else groups - {"all"} or groups)  # one group is "all" of them
    line = ", ".join(_label(config, path) for path in lines)
    place = OmegaConf.select(config, x)
    if place is None and x == "dataset.train_size" and (run / "split.json").exists():
        place = len(json.loads((run / "split.json").read_text())["train"])
    seed = int(OmegaConf.select(config, "seed", default=0))
    return [Row(name, place, line, group, seed, *(values.get((group, m), nan) for m in THREE)) for group in shown]


def _label(config: DictConfig, path: str) -> str:
    """``lmax = 2``; a target by its own name."""
    value = OmegaConf.select(config, path)
    key = path.rsplit(".")[-1]
    return str(value).rsplit(".")[-1] if key == "_target_" else f"{key} = {value}"


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts ``lmax = 10`` behind ``lmax = 2``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
