"""How figures are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, stem: Path) -> Path:
    """``<stem>.svg`` to print and ``<stem>.png`` to look at; returns the latter."""
    for suffix in (".svg", ".png"):
        figure.savefig(stem.with_suffix(suffix), dpi=150)
    return stem.with_suffix(".png")
