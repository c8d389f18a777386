"""Floor against the number of density functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from densitylab.report.figure import save_figure
from densitylab.report.table import write_table


def write_floors(rows: list[list[Any]], formula: str, stem: Path) -> None:
    """Rows of (functions, floor of the structures designed on, floor of held-out ones, both in %): table and figure."""
    from matplotlib.figure import Figure

    header = ["functions", "floor, designed on / %", "floor, held out / %"]
    write_table(header, rows, stem, f"floor against number of functions per {formula}")
    axes = (figure := Figure(figsize=(5.5, 4), layout="constrained")).subplots()
    for column in (1, 2):
        axes.plot([row[0] for row in rows], [row[column] for row in rows], "o-", label=header[column].split(" /")[0])
    axes.set(xlabel=f"density functions per {formula}", ylabel="ε, fit against SCF / %", ylim=(0, None))
    axes.legend()
    save_figure(figure, stem)
