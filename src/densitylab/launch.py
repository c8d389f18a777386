"""From checked points to finished runs: each in its own process, whatever launcher Hydra starts them with."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from densitylab.build import build
from densitylab.config import CONFIG_NAME
from densitylab.errors import ConfigError, ConfigProblems, report
from densitylab.lock import is_main_rank, several_ranks
from densitylab.outlook import outlooks
from densitylab.preflight import Plan, Point, merge
from densitylab.process import (
    follow,
    name_command,
    open_run,
    record_violent_end,
    refuse_changes,
    run_in_process,
)
from densitylab.record import freeze, named_by_time, task_hash
from densitylab.report.table import print_metrics
from densitylab.runs import Run


def show(plan: Plan) -> int:
    """Print every point with its state and its outlook: what ``plan=true`` does. Nothing is computed or written."""
    print(f"{len(plan.points)} run{'s' * (len(plan.points) > 1)} in {plan.directory}")
    states = [point.run.state(point.frozen) for point in plan.points]
    ahead = iter(outlooks([p.config for p, state in zip(plan.points, states, strict=True) if state != "finished"]))
    for point, state in zip(plan.points, states, strict=True):
        print(f"  {state:<11}  {point.run.path}  {point.label}".rstrip())
        if state != "finished":
            found = next(ahead)
            for line in (*found.facts, *(f"cannot start: {problem}" for problem in (*found.problems, *found.here))):
                print(f"{'':15}{line}")
    return 0


def launch(hydra: Hydra, plan: Plan) -> int:
    """Run what is not finished, then the report; returns the exit code.

    Raises:
        ConfigError: when a directory is in use by another configuration, or a point cannot be built.
        OSError: when the outputs cannot be written.
        KeyboardInterrupt: after the running point has been told to stop and has recorded it.
    """
    if several_ranks() and named_by_time(plan.points[0].config):
        raise ConfigError("several processes were started for one run: they need a name=… to find the same directory")
    refuse_changes([(point.run, point.frozen) for point in plan.points])
    _require_buildable(plan)
    _require_writable(plan.directory)
    name_command()
    start = hydra.multirun if plan.multirun else hydra.run
    mode = f"hydra.mode={'MULTIRUN' if plan.multirun else 'RUN'}"
    start(config_name=CONFIG_NAME, task_function=run_point, overrides=[*plan.lines, mode])
    return _conclude(plan) if is_main_rank() else 0


def run_point(config: DictConfig) -> str:
    """What Hydra calls for each point, here or in a job of its launcher.

    Returns the state and never raises, because Hydra would end the sweep; only Ctrl-C ends it.
    """
    run = Run(Path(HydraConfig.get().runtime.output_dir))
    try:
        frozen = freeze(config)
        if not is_main_rank():
            return follow(run, frozen)
        if open_run(run, frozen):
            record_violent_end(run, run_in_process(run))
        return run.state(frozen)
    except (ConfigError, OSError) as error:
        report(error)
        return "failed"


def _require_buildable(plan: Plan) -> None:
    """Every model and optimiser of all points, before hours of the first one."""
    points = [point for point in plan.points if point.run.state(point.frozen) != "finished"]
    found = outlooks([point.config for point in points])
    own = [ahead.problems + (ahead.here if plan.local else []) for ahead in found]
    problems = merge([], [point.label for point in points], own)
    if problems:
        raise ConfigProblems(problems)


def _require_writable(directory: Path) -> None:
    """One sentence now instead of one failure per point."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigError(f"cannot write to {directory}: {error.strerror}; choose paths.outputs=…") from error


def _conclude(plan: Plan) -> int:
    """The report over whatever there is, then the failures."""
    failed = [point for point in plan.points if point.run.state(point.frozen) != "finished"]
    _print_result(plan)
    reported = _report(plan.points[0].config.report, plan.directory)
    if failed:
        print(f"{len(failed)} of {len(plan.points)} runs failed:", file=sys.stderr)
    for reason, (first, *others) in _by_reason(failed).items():
        more = f" and {len(others)} more" if others else ""
        print(f"  {first.run.path}{more}: {reason}", file=sys.stderr, flush=True)
    return 0 if reported and not failed else 1


def _print_result(plan: Plan) -> None:
    """What workers found, if they have all done the same: nobody has seen their output."""
    finished = [point for point in plan.points if point.run.state(point.frozen) == "finished"]
    if plan.away and finished and len({task_hash(point.config) for point in plan.points}) == 1:
        print_metrics((finished[0].run.results() or {})["metrics"])


def _by_reason(failed: list[Point]) -> dict[str, list[Point]]:
    """Those that failed together, together: what workers share, for example."""
    reasons: dict[str, list[Point]] = {}
    for point in failed:
        reasons.setdefault(_reason(point), []).append(point)
    return reasons


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
