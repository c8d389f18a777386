"""Before anything runs: expand the sweep, compose and check every point, say all that is wrong at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from densitylab import launchers, validate
from densitylab.config import CONFIG_NAME
from densitylab.errors import ConfigProblems, sentence
from densitylab.overrides import Composer
from densitylab.record import Frozen, freeze, without_hydra
from densitylab.runs import Run


@dataclass(frozen=True)
class Point:
    """One run to be: what sets it apart from the others, its directory and its resolved configuration."""

    label: str
    run: Run
    config: DictConfig
    frozen: Frozen


@dataclass(frozen=True)
class Plan:
    """All points of a command line, its overrides for Hydra, their directory, whether a launcher of ours starts them
    (then what they print is elsewhere) and whether they run on this machine.
    """

    points: list[Point]
    lines: list[str]
    directory: Path
    multirun: bool
    away: bool
    local: bool


def preflight(hydra: Hydra, lines: list[str], multirun: bool) -> Plan:
    """Compose and validate every point of a command line.

    Raises:
        ConfigProblems: with every problem of every point.
    """
    problems: list[str] = []
    try:
        composer = Composer(hydra, lines)
        overrides = composer.parse(lines, problems)
        master = composer.compose(overrides, RunMode.MULTIRUN, problems)
        HydraConfig.instance().set_config(master)
        multirun = multirun or master.hydra.mode == RunMode.MULTIRUN
        problems += launchers.check(master.hydra.launcher)
        added = launchers.shared(master, {o.key_or_group for o in overrides}, multirun)
        lines, multirun = [*lines, *added], multirun or bool(added)
        overrides += composer.parse(added, problems)
        directory = Path(master.hydra.sweep.dir if multirun else master.hydra.run.dir)
        sets = _expand(composer, master, overrides, multirun, problems)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigProblems([*problems, sentence(error)]) from error
    labels = _labels(sets)
    checked = [_check_point(composer, own, n, multirun) for n, own in enumerate(sets)]
    problems = merge(problems, labels, [found for _, found in checked])
    points = [Point(label, *made) for label, (made, _) in zip(labels, checked, strict=True) if made]
    problems += _collisions(points)
    if problems:
        raise ConfigProblems(problems)
    launcher = master.hydra.launcher
    return Plan(points, lines, directory, multirun, launchers.is_ours(launcher), launchers.is_local(launcher))


def _expand(
    composer: Composer, master: DictConfig, overrides: list[Override], multirun: bool, problems: list[str]
) -> list[list[str]]:
    """The override lines of every point, by the rules of Hydra's basic sweeper."""
    fixed = [str(o.input_line) for o in overrides if o.is_hydra_override() and not o.is_sweep_override()]
    own = [o for o in overrides if not o.is_hydra_override()]
    sweeps = [o for o in overrides if o.is_sweep_override() and (o.is_hydra_override() or not multirun)]
    for override in sweeps:
        line = f"{override.input_line}: several values make a sweep"
        advice = "Hydra's own keys cannot sweep" if multirun else "add -m, or write [a,b] for a list"
        problems.append(f"{line}; {advice}")
    if not multirun or not str(master.hydra.sweeper["_target_"]).endswith(f".{BasicSweeper.__name__}"):
        # Another sweeper chooses its points as it goes: what all of them share can be checked.
        return [[*fixed, *(str(o.input_line) for o in own if not o.is_sweep_override())]]
    swept = [f"{key}={value}" for key, value in (master.hydra.sweeper.params or {}).items()]
    params = composer.parse(swept, problems)
    return [[*fixed, *lines] for lines in BasicSweeper.split_arguments([*params, *own], None)[0]]


def _check_point(
    composer: Composer, lines: list[str], number: int, multirun: bool
) -> tuple[tuple[Run, DictConfig, Frozen] | None, list[str]]:
    """What a Point needs if nothing is wrong with it, and what is wrong."""
    problems: list[str] = []
    try:
        config = composer.compose(composer.parse(lines, problems), RunMode.RUN, problems)
        if not problems:
            config = composer.loader.load_configuration(CONFIG_NAME, list(lines), RunMode.RUN)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.job.num = config.hydra.job.id = number
        HydraConfig.instance().set_config(config)
        task_config = without_hydra(config)
        problems += validate.check(_readable(task_config, "", problems))
        if problems:
            return None, problems
        sweep, single = config.hydra.sweep, config.hydra.run
        directory = Path(sweep.dir, sweep.subdir) if multirun else Path(single.dir)
        return (Run(directory), task_config, freeze(task_config)), []
    except (HydraException, OmegaConfBaseException) as error:
        return None, [*problems, sentence(error)]


def _readable(node: DictConfig | ListConfig, path: str, problems: list[str]) -> Any:
    """The node as plain containers; values that are missing or cannot be resolved become problems."""
    keys: Sequence[Any] = list(node.keys()) if isinstance(node, DictConfig) else range(len(node))
    values: list[Any] = []
    for key in keys:
        where = f"{path}{key}"
        value: Any = validate.UNKNOWN
        try:
            if OmegaConf.is_missing(node, key):
                problems.append(f"{where}: a value is required (it is ??? in the YAML)")
            else:
                value = node[key]
        except OmegaConfBaseException as error:
            problems.append(f"{where}: {sentence(error)}")
        is_node = isinstance(value, DictConfig | ListConfig)
        values.append(_readable(value, f"{where}.", problems) if is_node else value)
    return dict(zip(keys, values, strict=True)) if isinstance(node, DictConfig) else values


def _labels(sets: list[list[str]]) -> list[str]:
    """What sets each point apart, in the words of the command line."""
    common = set.intersection(*(set(lines) for lines in sets)) if len(sets) > 1 else set()
    return [" ".join(line for line in lines if line not in common) for lines in sets]


def merge(general: list[str], labels: list[str], found: list[list[str]]) -> list[str]:
    """Each problem once, with the points that have it unless all have it."""
    where: dict[str, list[str]] = {}
    for label, problems in zip(labels, found, strict=True):
        for problem in dict.fromkeys(problems):
            where.setdefault(problem, []).append(label)
    merged = list(dict.fromkeys(general))
    for problem, points in where.items():
        if problem not in merged:
            shown = "; ".join(points[:3]) + (f" and {len(points) - 3} more" if len(points) > 3 else "")
            merged.append(problem if len(points) == len(labels) else f"{problem}  [in {shown}]")
    return merged


def _collisions(points: list[Point]) -> list[str]:
    """Points that would overwrite each other."""
    homes = [point.run.path for point in points]
    shared = sorted({home for home in homes if homes.count(home) > 1})
    advice = "name every swept key in hydra.sweep.subdir"
    return [f"hydra.sweep.subdir: {homes.count(home)} points share {home}; {advice}" for home in shared]
