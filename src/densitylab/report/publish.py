"""A report for those who look at W&B."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def publish(
    loggers: Mapping[str, Callable[..., Any]], folder: Path, header: list[str], table: list[list[Any]], figure: Path
) -> None:
    """Table and figure as a run ``report`` in the W&B group of the sweep; nothing without a logger named ``wandb``."""
    if "wandb" not in loggers:
        return
    os.environ.setdefault("WANDB_SILENT", "true")
    logger = loggers["wandb"](save_dir=folder, name="report", group=folder.name, job_type="report")
    logger.log_table(figure.stem, header, table)
    logger.log_image(figure.stem, [str(figure)])
    logger.experiment.finish()
