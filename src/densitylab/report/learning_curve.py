"""Error against the amount of training data, one line per model: table and log-log figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from densitylab.report.collect import Row, collect
from densitylab.report.table import write_table


def learning_curve(folder: Path, x: str, line: str, split: str = "test", group: str | None = None) -> list[Row]:
    """Table of floor, network and total error of every run below ``folder``, and ``learning_curve.png`` / ``.svg``.

    ``x`` and ``line`` are dotted paths into the runs' configurations, e.g. ``dataset.train_size`` and ``model.lmax``.
    The figure shows one ``group`` of the split (default: all structures), the table every group. Runs that did not
    finish are listed with their reason below the table.
    """
    folder = Path(folder)
    rows, others = collect(folder, x, line, split)
    header = [x, line, "group", "floor ε / %", "network ε / %", "total ε / %"]
    table = [[r.x, r.line, r.group, r.epsilon_floor, r.epsilon_network, r.epsilon_total] for r in rows]
    write_table(header, table, folder / "learning_curve", f"{split} split: ε = 100 ∫|Δρ| / N_el")
    for name, reason in others.items():
        print(f"{name}: {reason}")
    if rows:
        shown = group or ("all" if any(row.group == "all" for row in rows) else rows[0].group)
        _figure([row for row in rows if row.group == shown], folder / "learning_curve", x, line)
        print(f"figure: {folder / 'learning_curve.png'}")
    return rows


def _figure(rows: list[Row], stem: Path, x: str, line: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, name, title in zip(panels, ("epsilon_network", "epsilon_total"), _TITLES, strict=True):
        for value in sorted({row.line for row in rows}):
            points = [(row.x, getattr(row, name)) for row in rows if row.line == value]
            axes.plot(*zip(*points, strict=True), marker="o", label=f"{line.rsplit('.')[-1]} = {value}")
        floor = sum(row.epsilon_floor for row in rows) / len(rows)
        axes.axhline(floor, color="grey", linestyle="--", label="floor: fit vs SCF")
        axes.set(title=title, xscale="log", yscale="log", xlabel=_label(x))
        _plain_ticks(axes, sorted({row.x for row in rows}))
    panels[0].set_ylabel("ε / %")
    panels[1].legend(loc="upper right")
    for suffix in (".png", ".svg"):
        figure.savefig(stem.with_suffix(suffix), dpi=150)


_TITLES = ("network: prediction vs fit", "total: prediction vs SCF")


def _label(path: str) -> str:
    return {"dataset.train_size": "training clusters"}.get(path, path)


def _plain_ticks(axes: Any, ticks: list[Any]) -> None:
    """The values that were run, and ε as 0.5 rather than 5 × 10⁻¹."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
