"""One process at a time in a directory, and which of the processes of a distributed run this one is."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GLANCE_S = 1.0  # is_held() takes the lock for a moment: who wants it looks more than once


@contextmanager
def exclusive(directory: Path, wait: bool = False) -> Iterator[None]:
    """Hold the directory until the block or this process ends, however it ends.

    Raises
    ------
    BlockingIOError
        If another process holds it, unless told to ``wait``.
    """
    with (directory / ".lock").open("w") as file:
        deadline = time.monotonic() + _GLANCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BlockingIOError(f"another process is working in {directory}") from None
                time.sleep(0.05)
        yield


def is_held(directory: Path) -> bool:
    """Whether a process works in the directory."""
    if not (directory / ".lock").exists():
        return False
    with (directory / ".lock").open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who only looks is not in the way of who looks
        except BlockingIOError:
            return True
    return False


def several_ranks() -> bool:
    """Whether torchrun or srun started this command several times."""
    return any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS"))


def is_main_rank() -> bool:
    """False in all but one of the processes that Lightning, torchrun or srun started for one run."""
    names = ["RANK", "NODE_RANK", "LOCAL_RANK"]
    if os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):  # there Lightning does not look at SLURM
        names.append("SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)
