"""One process at a time in a run directory."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the directory until the block or this process ends, however it ends.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"another process is working in {directory}") from None
        yield


def is_held(directory: Path) -> bool:
    """Whether a process works in the directory."""
    if not (directory / ".lock").exists():
        return False
    try:
        with exclusive(directory):
            return False
    except BlockingIOError:
        return True
