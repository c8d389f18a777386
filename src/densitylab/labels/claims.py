"""Claims: which process works on what, among all that share a store, on one machine or many.

A claim is a file. Its owner holds a lock on it, touches it while it works and removes it at the end. A dead process
holds no lock, so what it had claimed is free at once for others on its machine. Over a network, locks may take minutes
to fall, or may not reach beyond one machine: there an owner counts as lost when its file has been still for a while.

Claims save work, no more. A store is whole without them, because its records are written whole (:mod:`.store`).
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO

_BEAT_S = 20.0
_STILL_S = 300.0  # many beats: clocks of machines differ, and network file systems show changes late
_GLANCE_S = 0.2


@contextmanager
def claim(file: Path, command: str = "") -> Iterator[int | None]:
    """Try to claim what ``file`` stands for, until the block ends.

    Gives None if another process has it, else how many processes of ``command`` were lost while they had it.
    """
    with _open(file) as handle:
        owners = _lock(file, handle)
        if owners is None:
            yield None
            return
        print(socket.gethostname(), os.getpid(), command, file=handle, flush=True)
        with _beating(handle):
            try:
                yield sum(line.split()[2:] == command.split() for line in owners)
            finally:
                _remove(file)


@contextmanager
def claim_in_turn(file: Path) -> Iterator[None]:
    """Wait for what ``file`` stands for, and claim it until the block ends."""
    while True:
        with claim(file) as lost:
            if lost is not None:
                yield
                return
        time.sleep(_GLANCE_S)


def _open(file: Path) -> IO[str]:
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            return file.open("a+")
        except FileNotFoundError:  # the last claim has just gone, and the folder with it
            continue


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    with suppress(OSError):  # other claims are in the folder
        file.parent.rmdir()


def _lock(file: Path, handle: IO[str]) -> list[str] | None:
    """Those who had the file and were lost, one per line; None if somebody has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    if not _is(file, handle):
        return None  # its owner has ended, and removed it, between our opening and our locking
    handle.seek(0)
    owners = handle.read().splitlines()
    elsewhere = bool(owners) and owners[-1].split()[0] != socket.gethostname()
    if elsewhere and time.time() - os.fstat(handle.fileno()).st_mtime < _STILL_S:
        return None
    return owners


def _is(file: Path, handle: IO[str]) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def _beating(handle: IO[str]) -> Iterator[None]:
    """Touch the file from time to time."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            os.utime(handle.fileno())

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
