"""From checked points to finished runs: each in its own process, whatever launcher Hydra starts them with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from densitylab.build import build
from densitylab.config import CONFIG_NAME
from densitylab.errors import ConfigError, report
from densitylab.preflight import Plan, Point
from densitylab.record import Frozen, freeze
from densitylab.runs import INTERRUPTED, Run


def show(plan: Plan) -> int:
    """Print every point with its state: what ``plan=true`` does."""
    print(f"{len(plan.points)} run{'s' * (len(plan.points) > 1)} in {plan.directory}")
    states = [point.run.state(point.frozen) for point in plan.points]
    for state, point in zip(states, plan.points, strict=True):
        print(f"  {state:<11}  {point.run.path}  {point.label}".rstrip())
    return 0


def launch(hydra: Hydra, plan: Plan, lines: list[str]) -> int:
    """Run what is not finished, then the report; returns the exit code.

    Raises:
        ConfigError: when a directory is in use by another configuration.
        OSError: when the outputs cannot be written.
        KeyboardInterrupt: after the running point has been told to stop and has recorded it.
    """
    refuse_changes([(point.run, point.frozen) for point in plan.points])
    _require_writable(plan.directory)
    start = hydra.multirun if plan.multirun else hydra.run
    mode = f"hydra.mode={'MULTIRUN' if plan.multirun else 'RUN'}"
    start(config_name=CONFIG_NAME, task_function=run_point, overrides=[*lines, mode])
    return _conclude(plan)


def run_point(config: DictConfig) -> str:
    """What Hydra calls for each point, here or in a job of its launcher.

    Returns the state and never raises, because Hydra would end the sweep; only Ctrl-C ends it.
    """
    run = Run(Path(HydraConfig.get().runtime.output_dir))
    try:
        frozen = freeze(config)
        refuse_changes([(run, frozen)])
        if run.state(frozen) == "finished":
            print(f"finished before: {_short(run.path)}", flush=True)
            return "finished"
        print(f"running: {_short(run.path)}", flush=True)
        run.prepare(frozen)
        _record_violent_end(run, _run_in_process(run))
        return run.state(frozen)
    except (ConfigError, OSError) as error:
        report(error)
        return "failed"


def refuse_changes(runs: list[tuple[Run, Frozen]]) -> None:
    """Raise a ConfigError when directories are in use, or (with the difference) belong to other configurations."""
    running = [run for run, frozen in runs if run.state(frozen) == "running"]
    if running:
        raise ConfigError(f"another process is working in {running[0].path}; wait for it, or choose another name=…")
    changed = [(run, frozen) for run, frozen in runs if run.state(frozen) == "changed"]
    if changed:
        run, frozen = changed[0]
        others = f" (and {len(changed) - 1} more like it)" if len(changed) > 1 else ""
        raise ConfigError(
            f"{run.path} holds a run with another configuration{others}:\n{run.diff(frozen)}\n"
            "Give this one another name (name=…), or remove the directory to run it anew."
        )


def _require_writable(directory: Path) -> None:
    """One sentence now instead of one failure per point."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigError(f"cannot write to {directory}: {error.strerror}; choose paths.outputs=…") from error


def _run_in_process(run: Run) -> int:
    """Execute a prepared run and return its exit code, negative for the signal that killed it.

    Raises:
        KeyboardInterrupt: when this process or the run has been interrupted; a second one kills the run.
    """
    # Absolute, because Lightning's other ranks repeat the command, perhaps from elsewhere.
    command = [sys.executable, "-m", "densitylab.runs", str(run.path.absolute())]
    # torch, PySCF and OpenMM bring an OpenMP each: idle threads of one must not spin on cores that another needs.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
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
        if run.results() is None:
            run.finish("interrupted", "stopped before it could record anything", time.monotonic() - start, [])


def _record_violent_end(run: Run, code: int) -> None:
    """A killed process leaves no results.json, so we write it."""
    if run.results() is not None:
        return
    reason = f"ended with exit code {code} without a result"
    if code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        reason = f"killed by {signal.Signals(-code).name}{hint}"
    run.finish("failed", reason, 0.0, [])
    print(f"error: {_short(run.path)}: {reason}", file=sys.stderr, flush=True)


def _conclude(plan: Plan) -> int:
    """The report over whatever there is, then the failures."""
    failed = [point for point in plan.points if point.run.state(point.frozen) != "finished"]
    reported = _report(plan.points[0].config.report, plan.directory)
    if failed:
        print(f"{len(failed)} of {len(plan.points)} runs failed:", file=sys.stderr)
    for point in failed:
        print(f"  {point.run.path}: {_reason(point)}", file=sys.stderr, flush=True)
    return 0 if reported and not failed else 1


def _report(node: Any, directory: Path) -> bool:
    try:
        build(node, directory)
    except Exception as error:  # the runs are safe on disk, whatever the report does
        print(f"the report failed, the runs in {directory} are complete", file=sys.stderr)
        report(error)
        return False
    return True


def _reason(point: Point) -> str:
    return str((point.run.results() or {}).get("error") or "no result")


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
