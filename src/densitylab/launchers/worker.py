"""What happens where a launcher has put a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from densitylab.errors import ConfigError
from densitylab.process import run_in_process
from densitylab.runs import INTERRUPTED, Run


class Work(NamedTuple):
    """A prepared run: its ``directory``, the ``folder`` in which it works and ``settings`` for its environment."""

    directory: str
    folder: str
    settings: dict[str, str]


def work(task: Work, stopped: Callable[[], bool] = lambda: False) -> int:
    """Execute a run in a process of its own and return its exit code; its output goes into ``output.log``.

    Raises
    ------
    ConfigError
        If the directory cannot be seen from here.
    """
    directory = Path(task.directory)
    if not (directory / "config.yaml").is_file():
        raise ConfigError(f"no config.yaml in {directory}: workers need the file system of the command")
    with (directory / "output.log").open("ab") as log:
        try:
            return run_in_process(Run(directory), stopped, task.folder, log, task.settings)
        except KeyboardInterrupt:
            return INTERRUPTED
