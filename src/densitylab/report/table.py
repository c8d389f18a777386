"""One table three times: for the terminal, as CSV, as Markdown."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any


def write_table(header: list[str], rows: list[list[Any]], stem: Path, title: str) -> None:
    """Print the table, and write ``<stem>.csv`` and ``<stem>.md``."""
    text = [[_text(value) for value in row] for row in rows]
    with stem.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    lines = [header, ["---"] * len(header), *text]
    stem.with_suffix(".md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))
    _print(header, text, title)


def print_metrics(metrics: list[dict[str, Any]]) -> None:
    """The metrics of one run, a line for every split and group."""
    metrics = [
        m for m in metrics if not m["name"].startswith("epsilon_l")
    ]  # too many columns; they are in results.json
    names = list(dict.fromkeys(f"{m['name']} / {m['unit']}" for m in metrics))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for m in metrics:
        rows.setdefault((m["split"], m["group"]), {})[f"{m['name']} / {m['unit']}"] = f"{m['value']:.3g}"
    _print(["split", "group", *names], [[*key, *(row.get(n, "") for n in names)] for key, row in rows.items()], "")


def print_table(header: list[str], rows: list[list[Any]], title: str = "") -> None:
    """A table for the terminal alone."""
    _print(header, [[_text(value) for value in row] for row in rows], title)


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _print(header: list[str], rows: list[list[str]], title: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title)
    for name in header:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(escape, row))  # a name may have brackets
    Console(width=max(Console().width, 140)).print(table)  # a log file has no width; do not cut numbers off
