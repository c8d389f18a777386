"""The figure of a learning curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from densitylab.report.figure import save_figure

if TYPE_CHECKING:
    from densitylab.report.learning_curve import Point

_TITLES = {"network": "network: prediction vs fit", "total": "total: prediction vs SCF"}


def draw_curves(points: list[Point], stem: Path, x: str, published: dict[str, list[float]]) -> Path:
    """Network and total error side by side, log–log, bars over seeds: ``<stem>.png`` and ``.svg``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    floor = sum(point.floor for point in points) / len(points)
    for axes, name in zip(panels, _TITLES, strict=True):
        for line in dict.fromkeys(point.line for point in points):
            own = [point for point in points if point.line == line]
            y, spread = [getattr(p, name) for p in own], [getattr(p, f"{name}_spread") for p in own]
            axes.errorbar([p.x for p in own], y, spread, marker="o", capsize=3, label=line)
        axes.axhline(floor, color="grey", linestyle="--", label="floor: fit vs SCF")
        axes.set(title=_TITLES[name], xscale="log", yscale="log", xlabel=_label(x))
    for index, (label, (where, value)) in enumerate(published.items()):
        panels[0].plot(where, value, "*", color="black", markersize=10 + 2 * index, label=label)
    ticks = {point.x for point in points} | {where for where, _ in published.values()}
    for axes in panels:
        _plain_ticks(axes, sorted(ticks))
    panels[0].set_ylabel("ε / %")
    for axes in panels:
        axes.legend(fontsize="small")
    return save_figure(figure, stem)


def _label(path: str) -> str:
    return {"dataset.train_size": "training clusters"}.get(path, path)


def _plain_ticks(axes: Any, ticks: list[Any]) -> None:
    """The values that were run, and ε as 0.5 rather than 5 × 10⁻¹."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
