"""Small things to run: what the tests of the execution configure instead of networks."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from densitylab.build import build
from densitylab.outlook import Outlook
from densitylab.runs import Run


@dataclass
class Statistics:
    """Known at run time only; a dataclass, because Hydra likes to mistake those for configuration."""

    mean: float


class Head:
    def __init__(self, width: int = 4, act: Callable[[float], float] | None = None) -> None:
        self.width = width


class Net:
    def __init__(
        self,
        lmax: int,
        statistics: Statistics,
        cutoff: float = 4.0,
        channels: int | None = None,
        kind: Literal["natural", "both"] = "natural",
        sizes: tuple[int, ...] = (),
        head: Head | None = None,
    ) -> None:
        self.lmax, self.statistics, self.head, self.sizes = lmax, statistics, head, sizes


def outlook(cfg: DictConfig) -> Outlook:
    """Refuses what no signature can: a negative lmax."""
    if cfg.model.lmax < 0:
        raise ValueError(f"lmax={cfg.model.lmax} is negative")
    return Outlook([f"{1000 * cfg.model.lmax:,} parameters"], ["no labels yet"] if cfg.model.lmax == 9 else [])


Action = Literal["ok", "fail", "hang", "die"]


def work(cfg: DictConfig, run: Run, action: Action = "ok") -> list[dict[str, Any]]:
    """Note down the process, then do what is asked."""
    with (run.path / "processes").open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {sys.argv}\n")
    if action == "fail":
        raise ValueError("the cutoff\nis too small")
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while action == "hang" and not (run.path.parent / "release").exists():
        time.sleep(0.02)
    net = build(cfg.model, statistics=Statistics(1.0))
    value = net.lmax + random.random()
    return [{"name": "epsilon", "value": value, "unit": "%", "split": "test", "group": "water"}]


def broken(cfg: DictConfig, run: Run) -> list[dict[str, Any]]:
    """Forgets the unit."""
    return [{"name": "epsilon", "value": 1.0}]


def table(directory: Path, x: str = "model.lmax") -> None:
    """Print what there is."""
    files = sorted(directory.glob("**/results.json"))
    print("report:", x, [json.loads(file.read_text())["status"] for file in files])


def bad_table(directory: Path) -> None:
    raise RuntimeError("no ink")
