"""The errors of single structures as a figure."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from densitylab.report.figure import save_figure

_SHOWN = ("epsilon_floor / %", "epsilon_network / %", "epsilon_total / %")


def read_errors(file: Path) -> tuple[list[str], list[list[str | float]]]:
    """Header and rows of ``errors.csv``; what is a number is one."""
    with file.open(newline="") as lines:
        header, *rows = csv.reader(lines)
    plain = header.index("key") + 1
    return header, [[*row[:plain], *(float(value) if value else math.nan for value in row[plain:])] for row in rows]


def draw_structures(header: list[str], rows: list[list[str | float]], stem: Path) -> Path:
    """Floor, network and total error of every structure, by split and group: ``<stem>.png`` and ``.svg``."""
    from matplotlib.figure import Figure

    places = {place: index for index, place in enumerate(dict.fromkeys(f"{row[0]}\nn = {row[1]}" for row in rows))}
    figure = Figure(figsize=(1.5 + 1.2 * len(places), 4), layout="constrained")
    axes = figure.subplots()
    for offset, name in enumerate(shown for shown in _SHOWN if shown in header):
        x = [places[f"{row[0]}\nn = {row[1]}"] + 0.25 * (offset - 1) for row in rows]
        y = [row[header.index(name)] for row in rows]
        axes.plot(x, y, "o", alpha=0.5, label=name.removeprefix("epsilon_").removesuffix(" / %"))
    axes.set_xticks(list(places.values()), list(places))
    axes.set(ylabel="ε / %", ylim=(0, None))
    if rows:
        axes.legend()
    return save_figure(figure, stem)
