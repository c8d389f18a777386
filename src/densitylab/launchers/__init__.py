"""Launchers: Hydra's ``hydra/launcher=…`` over joblib, submitit and Ray, and tasks that their workers share.

Hydra's own plugins for these are of 2022 and clash with today's libraries (docs/decisions/0008-launchers.md).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import DictConfig, OmegaConf

from densitylab import validate
from densitylab.launchers.base import ParallelLauncher
from densitylab.launchers.joblib import JoblibLauncher
from densitylab.launchers.ray import RayLauncher
from densitylab.launchers.submitit import SubmititLauncher

HOME = "hydra_plugins.densitylab_launchers"
LAUNCHERS: dict[str, type[ParallelLauncher]] = {
    f"{HOME}.Joblib": JoblibLauncher,
    f"{HOME}.Ray": RayLauncher,
    f"{HOME}.Submitit": SubmititLauncher,
}


def is_ours(node: DictConfig) -> bool:
    """Whether a launcher is one of these."""
    return node["_target_"] in LAUNCHERS


def is_local(node: DictConfig) -> bool:
    """Whether a launcher starts its runs on this machine; of one that is not ours nobody knows."""
    kind = LAUNCHERS.get(node["_target_"])
    return kind.is_local(node) if kind else node["_target_"].endswith(f".{BasicLauncher.__name__}")


def check(node: DictConfig) -> Iterator[str]:
    """All problems of ``hydra.launcher``: options, and the package that it needs."""
    kind = LAUNCHERS.get(node["_target_"])
    if kind is None:
        return
    options: Any = OmegaConf.to_container(node, resolve=True)
    yield from validate.check_call(kind, options, "hydra.launcher")
    for name, least in (("workers", 1), ("cpus", 1), ("retries", 0)):
        if isinstance(options.get(name), int) and options[name] < least:
            yield f"hydra.launcher.{name}: at least {least}, not {options[name]}"
    if importlib.util.find_spec(kind.package) is None:
        yield f"hydra/launcher={kind.package} needs another package: pip install 'densitylab[{kind.package}]'"
    else:
        yield from kind.problems(node)


def shared(master: DictConfig, chosen: set[str], multirun: bool) -> list[str]:
    """Overrides that make a command a sweep over the workers of its launcher.

    A task that its workers can share has an option ``worker``; each of them is a run in ``worker_…``. Any other task is
    a sweep of one point, in the directory that it has without a launcher. ``chosen`` are the keys that the user sets.
    """
    launcher, task = master.hydra.launcher, master.task
    if not is_ours(launcher):
        return []
    divided = "worker" in task and "task.worker" not in chosen and launcher.workers > 1
    lines = [f"task.worker=range({launcher.workers})"] if divided else []
    if multirun or "hydra.sweep.subdir" in chosen:
        return lines
    return [*lines, "hydra.sweep.subdir=" + ("worker_${task.worker}" if divided else ".")]


__all__ = ["LAUNCHERS", "check", "is_local", "is_ours", "shared"]
