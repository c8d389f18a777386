"""A run is a directory. ``python -m densitylab.runs DIR`` executes the configuration that lies in it.

Lightning repeats that command line for the other ranks of a distributed run, so it only needs the directory,
and ranks other than 0 write no status into it.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from densitylab.build import build
from densitylab.errors import ConfigError, plain_warnings, report, sentence
from densitylab.files import write_atomically
from densitylab.lock import exclusive, is_held, is_main_rank
from densitylab.record import Frozen, essentials, metadata

METRIC_KEYS = {"name", "value", "unit", "split", "group"}
INTERRUPTED = 130  # what shells return for Ctrl-C
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)  # the last: SLURM, some time before a job's time is up
LEASHED = "DENSITYLAB_LEASHED"  # environment variable: the standard input ends with the process that started this one


@dataclass(frozen=True)
class Run:
    """A directory with one resolved configuration, its results and whatever its task adds."""

    path: Path

    def config(self) -> DictConfig:
        """The resolved configuration; it cannot be changed, and a key that it lacks is an error."""
        config = OmegaConf.load(self.path / "config.yaml")
        if not isinstance(config, DictConfig):
            raise ConfigError(f"{self.path / 'config.yaml'} holds no configuration")
        OmegaConf.set_struct(config, True)
        OmegaConf.set_readonly(config, True)
        return config

    def results(self) -> dict[str, Any] | None:
        """``{"status", "error", "seconds", "metrics"}``, or None before the run has ended."""
        return self._read("results.json")

    def state(self, frozen: Frozen) -> str:
        """new, changed (another configuration has used the directory), running, finished, failed or interrupted."""
        if not (self.path / "config.yaml").exists():
            return "new"
        if (self._read("metadata.json") or {}).get("config_hash") != frozen.hash:
            return "changed"
        if is_held(self.path):
            return "running"
        return str((self.results() or {"status": "interrupted"})["status"])

    def ended_since(self, time: datetime) -> bool:
        """Whether the run has ended after that time."""
        file = self.path / "results.json"
        return file.exists() and file.stat().st_mtime > time.timestamp()

    def prepare(self, frozen: Frozen) -> None:
        """Store the configuration; what an earlier attempt left behind stays, except its outcome."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("results.json", "error.log"):
            (self.path / name).unlink(missing_ok=True)
        write_atomically(self.path / "metadata.json", json.dumps(metadata(frozen.hash), indent=2) + "\n")
        write_atomically(self.path / "config.yaml", frozen.text)

    def finish(self, status: str, error: str | None, seconds: float, metrics: list[dict[str, Any]]) -> None:
        """Write ``results.json``."""
        results = {"status": status, "error": error, "seconds": round(seconds, 3), "metrics": metrics}
        write_atomically(self.path / "results.json", json.dumps(results, indent=2, default=float) + "\n")

    def diff(self, frozen: Frozen) -> str:
        """Unified diff from the configuration in the directory to another one, operational keys aside."""
        trees: list[Any] = [self.config(), OmegaConf.create(frozen.text)]
        there, now = (OmegaConf.to_yaml(OmegaConf.create(essentials(tree))).splitlines() for tree in trees)
        return "\n".join(difflib.unified_diff(there, now, "there", "now", lineterm="", n=2))

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.path / name
        content: dict[str, Any] | None = json.loads(file.read_text("utf-8")) if file.exists() else None
        return content


def execute(run: Run) -> int:
    """Run the task in this process and record how it ended; returns the exit code."""
    start, debug, metrics, message = time.monotonic(), False, [], None
    try:
        config = run.config()
        debug = config.debug
        metrics = _checked(_call(config, run))
        status, code = "finished", 0
    except BaseException as error:  # SystemExit too: Lightning turns Ctrl-C into one
        stopped = isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)
        status, code = ("interrupted", INTERRUPTED) if stopped else ("failed", 1)
        message = status if stopped else sentence(error)
        if not stopped:
            report(error, debug)
        if not stopped and is_main_rank():
            write_atomically(run.path / "error.log", traceback.format_exc())
    if is_main_rank():
        run.finish(status, message, time.monotonic() - start, metrics)
    return code


def _call(config: DictConfig, run: Run) -> Any:
    import pytorch_lightning  # seconds; the caller of Run.results() does not need it

    pytorch_lightning.seed_everything(config.seed, workers=True, verbose=False)
    return build(config.task, config, run)


def _checked(metrics: Any) -> list[dict[str, Any]]:
    """What a task returned, if it has the form that reports read."""
    listed: list[dict[str, Any]] = list(metrics or [])
    for metric in listed:
        if not isinstance(metric, dict) or set(metric) != METRIC_KEYS:
            raise TypeError(f"a task returns metrics with the keys {sorted(METRIC_KEYS)}, got {metric!r}")
        if not math.isfinite(metric["value"]):
            raise FloatingPointError(f"{metric['name']} ({metric['split']}, {metric['group']}) is {metric['value']}")
    return listed


def _stop_once(signum: int, frame: FrameType | None) -> None:
    """Each of these is a Ctrl-C. The terminal and our parent may both send one: the second must not cut the end."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_starter() -> None:
    """Die, and let go of all locks, when the process that watches over this one is gone: it may be started anew."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Execute the run in the directory named on the command line."""
    if len(sys.argv) != 2:
        print("usage: python -m densitylab.runs DIR   (a directory densitylab has prepared)", file=sys.stderr)
        return 2
    plain_warnings()
    for number in STOPS:
        signal.signal(number, _stop_once)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # what Ray starts is deaf to Ctrl-C
    if LEASHED in os.environ:
        threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        run = Run(Path(sys.argv[1]))
        with exclusive(run.path) if is_main_rank() else nullcontext():
            return execute(run)
    except OSError as error:  # a full disk, a directory that is gone or in use
        report(error)
        return 1


if __name__ == "__main__":
    # Under this name the module is a second copy; tasks must get the same Run class that they import.
    from densitylab import runs

    sys.exit(runs.main())
