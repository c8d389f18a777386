"""A run in a process of its own: started, interrupted, joined by the other ranks of a distributed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib

from densitylab.config import STARTED
from densitylab.lock import is_main_rank
from densitylab.record import Frozen
from densitylab.runs import INTERRUPTED, Run


def run_in_process(run: Run) -> int:
    """Execute a prepared run and return its exit code, negative for the signal that killed it.

    Raises:
        KeyboardInterrupt: when this process or the run has been interrupted; a second one kills the run.
    """
    # Absolute, because Lightning's other ranks repeat the command, perhaps from elsewhere.
    command = [sys.executable, "-m", "densitylab.runs", str(run.path.absolute())]
    # torch, PySCF and OpenMM bring an OpenMP each: idle threads of one must not spin on cores that another needs.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
    if "TORCHELASTIC_RUN_ID" in environment:  # torchrun's own store outlives a point: each needs a new one
        port = int(environment["MASTER_PORT"]) + 1 + zlib.crc32(run.path.name.encode()) % 1000
        environment |= {"TORCHELASTIC_USE_AGENT_STORE": "False", "MASTER_PORT": str(1024 + port % 64000)}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
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


def record_violent_end(run: Run, code: int) -> None:
    """A killed process leaves no results.json, so we write it."""
    if run.results() is not None:
        return
    reason = f"ended with exit code {code} without a result"
    if code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        reason = f"killed by {signal.Signals(-code).name}{hint}"
    run.finish("failed", reason, 0.0, [])
    print(f"error: {run.path}: {reason}", file=sys.stderr, flush=True)


def follow(run: Run, frozen: Frozen) -> str:
    """What the other processes of ``torchrun`` or ``srun`` do: wait for rank 0 to prepare the run, then join it."""
    while (state := run.state(frozen)) != "running":
        if state in ("finished", "changed") or run.ended_since(STARTED):
            return state
        time.sleep(0.2)
    run_in_process(run)
    return run.state(frozen)
