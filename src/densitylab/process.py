"""A run in a process of its own: prepared, started, interrupted, joined by the other ranks of a distributed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from densitylab.config import STARTED
from densitylab.errors import ConfigError
from densitylab.lock import is_main_rank
from densitylab.record import Frozen
from densitylab.runs import INTERRUPTED, LEASHED, Run

COMMAND = "DENSITYLAB_COMMAND"  # environment variable: the same in all processes of one command line
_GLANCE_S = 0.05


def name_command() -> None:
    """Give what follows from this command line a name of its own, for :func:`command_name` in its processes."""
    os.environ[COMMAND] = uuid.uuid4().hex[:12]


def command_name() -> str:
    """Name of the command line from which this process follows; a run started by hand is one of its own."""
    return os.environ.get(COMMAND) or uuid.uuid4().hex[:12]


def open_run(run: Run, frozen: Frozen) -> bool:
    """Prepare a run, unless it is finished already: then False, and the user is told.

    Raises:
        ConfigError: when its directory is in use, or belongs to another configuration.
        OSError: when its directory cannot be written to.
    """
    refuse_changes([(run, frozen)])
    finished = run.state(frozen) == "finished"
    print(f"{'finished before' if finished else 'running'}: {short(run.path)}", flush=True)
    if not finished:
        run.prepare(frozen)
    return not finished


def refuse_changes(runs: list[tuple[Run, Frozen]]) -> None:
    """Raise a ConfigError when directories are in use, or (with the difference) belong to other configurations."""
    running = [run for run, frozen in runs if run.state(frozen) == "running"]
    if running and is_main_rank():  # the others join it
        raise ConfigError(f"another process is working in {running[0].path}; wait for it, or choose another name=…")
    changed = [(run, frozen) for run, frozen in runs if run.state(frozen) == "changed"]
    if changed:
        run, frozen = changed[0]
        others = f" (and {len(changed) - 1} more like it)" if len(changed) > 1 else ""
        raise ConfigError(
            f"{run.path} holds a run with another configuration{others}:\n{run.diff(frozen)}\n"
            "Give this one another name (name=…), or remove the directory to run it anew."
        )


def run_in_process(
    run: Run,
    stopped: Callable[[], bool] = lambda: False,
    folder: str | None = None,
    log: IO[bytes] | None = None,
    settings: Mapping[str, str] | None = None,
) -> int:
    """Execute a prepared run and return its exit code, negative for the signal that killed it.

    ``folder`` is where it works, ``log`` takes what it prints, ``settings`` are for its environment. When ``stopped()``
    comes true it is interrupted. If this process is killed, so is the run: nobody would know of it.

    Raises:
        KeyboardInterrupt: when this process or the run has been interrupted; a second one kills the run.
    """
    # Absolute, because Lightning's other ranks repeat the command, perhaps from elsewhere.
    command = [sys.executable, "-m", "densitylab.runs", str(run.path.absolute())]
    # torch, PySCF and OpenMM bring an OpenMP each: idle threads of one must not spin on cores that another needs.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | dict(settings or {}) | {LEASHED: "1"}
    if "TORCHELASTIC_RUN_ID" in environment:  # torchrun's own store outlives a point: each needs a new one
        port = int(environment["MASTER_PORT"]) + 1 + zlib.crc32(run.path.name.encode()) % 1000
        environment |= {"TORCHELASTIC_USE_AGENT_STORE": "False", "MASTER_PORT": str(1024 + port % 64000)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, cwd=folder
    ) as process:
        try:
            while (code := process.poll()) is None:  # Ray interrupts Python, not a system call that waits
                if stopped():
                    raise KeyboardInterrupt
                time.sleep(_GLANCE_S)
        except BaseException:  # SystemExit too: submitit leaves a job like that
            _interrupt(run, process)
            raise
    if code in (INTERRUPTED, -signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    return code


def _interrupt(run: Run, process: subprocess.Popen[bytes]) -> None:
    start = time.monotonic()
    try:
        process.send_signal(signal.SIGINT)  # the terminal may have sent one too; the run heeds only the first
        process.wait()
    finally:
        process.kill()
        process.wait()
        if run.results() is None and is_main_rank():
            run.finish("interrupted", "stopped before it could record anything", time.monotonic() - start, [])


def record_violent_end(run: Run, end: int | str) -> None:
    """A killed process leaves no results.json, so we write it; ``end`` is its exit code or why it was lost."""
    if run.results() is not None:
        return
    reason = violence(end)
    run.finish("failed", reason, 0.0, [])
    print(f"error: {run.path}: {reason}", file=sys.stderr, flush=True)


def violence(end: int | str) -> str:
    """What an exit code says of a process that left no result; the words of a launcher as they are."""
    if isinstance(end, str):
        return end
    if end >= 0:
        return f"ended with exit code {end} without a result"
    hint = " (out of memory?)" if end == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-end).name}{hint}"


def follow(run: Run, frozen: Frozen) -> str:
    """What the other processes of ``torchrun`` or ``srun`` do: wait for rank 0 to prepare the run, then join it."""
    while (state := run.state(frozen)) != "running":
        if state in ("finished", "changed") or run.ended_since(STARTED):
            return state
        time.sleep(0.2)
    run_in_process(run)
    return run.state(frozen)


def short(path: Path) -> Path:
    """As a user would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
