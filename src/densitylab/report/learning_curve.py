"""Error against the amount of training data, one line per model: table and log-log figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from densitylab.report.collect import Row, collect
from densitylab.report.curves import draw_curves
from densitylab.report.publish import publish
from densitylab.report.table import write_table


@dataclass(frozen=True)
class Point:
    """Runs that differ in their seed only: mean errors in %, and their standard deviation over ``seeds`` seeds."""

    x: Any
    line: str
    group: str
    seeds: int
    floor: float
    network: float
    network_spread: float
    total: float
    total_spread: float


def learning_curve(
    folder: Path, x: str, line: str | list[str], split: str = "test", group: str | None = None,
    published: dict[str, list[float]] | None = None, logger: Mapping[str, Callable[..., Any]] | None = None,
) -> list[Point]:  # fmt: skip
    """Table of floor, network and total error of every run below ``folder``, and ``learning_curve.png`` / ``.svg``.

    Parameters
    ----------
    folder: that holds the runs.
    x, line: dotted paths into the runs' configurations, e.g. ``dataset.train_size`` and ``model.lmax``.
    split, group: what the figure shows (default: all structures of the split); the table has every group.
    published: label → (x, network ε in %) of somebody else's points, drawn as such.
    logger: loggers by name, as in the configuration; W&B gets table and figure as the run ``report`` of the group.

    Seeds are averaged; bars are standard deviations. Runs that did not finish are listed with their reason.
    """
    folder = Path(folder)
    rows, others = collect(folder, x, [line] if isinstance(line, str) else line, split)
    points = average(rows)
    header, table = _table(points, x)
    write_table(header, table, folder / "learning_curve", f"{split} split: ε = 100 ∫|Δρ| / N_el")
    for name, reason in others.items():
        print(f"{name}: {reason}")
    if points:
        shown = group or ("all" if any(point.group == "all" for point in points) else points[0].group)
        picked = [point for point in points if point.group == shown]
        figure = draw_curves(picked, folder / "learning_curve", x, published or {})
        publish(logger or {}, folder, header, table, figure)
        print(f"figure: {figure}")
    return points


def average(rows: list[Row]) -> list[Point]:
    """One point for all seeds of a (line, x, group)."""
    alike: dict[tuple[Any, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        alike[row.x, row.line, row.group].append(row)
    return [_point(*key, members) for key, members in alike.items()]


def _point(x: Any, line: str, group: str, members: list[Row]) -> Point:
    floor = fmean(row.epsilon_floor for row in members)
    network = _mean_and_spread([row.epsilon_network for row in members])
    total = _mean_and_spread([row.epsilon_total for row in members])
    return Point(x, line, group, len(members), floor, *network, *total)


def _mean_and_spread(values: list[float]) -> tuple[float, float]:
    return fmean(values), stdev(values) if len(values) > 1 else 0.0


def _table(points: list[Point], x: str) -> tuple[list[str], list[list[Any]]]:
    """With a column for the spread over seeds only where there are several."""
    header = [x, "line", "group", "floor ε / %", "network ε / %", "total ε / %"]
    rows: list[list[Any]] = [[p.x, p.line, p.group, p.floor, p.network, p.total] for p in points]
    if all(point.seeds == 1 for point in points):
        return header, rows
    spreads = [[p.seeds, p.network_spread, p.total_spread] for p in points]
    header += ["seeds", "± network / %", "± total / %"]
    return header, [row + more for row, more in zip(rows, spreads, strict=True)]
