"""What a run directory keeps: the resolved configuration, its hash, and which program wrote it."""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from dataclasses import dataclass
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from densitylab import __version__
from densitylab.config import shipped

OPERATIONAL = ("plan", "debug", "paths", "report")  # how and where, not what: left out of the hash
PACKAGES = ("torch", "pytorch-lightning", "e3nn", "pyscf")


@dataclass(frozen=True)
class Frozen:
    """A resolved configuration as it is stored, and the hash of what it says, equal on every machine."""

    text: str
    hash: str


def freeze(config: DictConfig) -> Frozen:
    """Resolve a configuration, whose Hydra node is gone already.

    Raises:
        omegaconf.errors.OmegaConfBaseException: when an interpolation leads nowhere.
    """
    portable = copy.deepcopy(config)
    with read_write(portable):  # so that a checkout that has moved is no other configuration
        portable.paths = {key: f"<{key}>" for key in config.paths}
    essence = json.dumps(essentials(portable), sort_keys=True, default=str)
    return Frozen(OmegaConf.to_yaml(config, resolve=True), hashlib.sha256(essence.encode()).hexdigest()[:16])


def task_hash(config: DictConfig) -> str:
    """The hash of a configuration, the same for all processes that share its task."""
    shared = OmegaConf.merge(config, {"task": {"worker": 0}}) if "worker" in config.task else config
    return freeze(cast(DictConfig, shared)).hash


def essentials(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration without the operational keys."""
    tree: Any = OmegaConf.to_container(config, resolve=True)
    return {key: value for key, value in tree.items() if key not in OPERATIONAL}


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy without Hydra's node: what Hydra gives to a task."""
    config = copy.deepcopy(config)
    with read_write(config), open_dict(config):
        config.pop("hydra", None)
    return config


def named_by_time(config: DictConfig) -> bool:
    """Whether the same command would choose another directory next time, or in another process."""
    raw_name = OmegaConf.to_container(config, resolve=False)["name"]  # type: ignore[call-overload, index]
    return "${started" in str(raw_name)


def metadata(config_hash: str) -> dict[str, Any]:
    """What wrote a run, so that a number can be traced to a program; nothing that names the machine."""
    return {
        "config_hash": config_hash,
        "densitylab": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


@functools.cache
def _git_commit() -> str | None:
    """The checkout's commit, ``-dirty`` with local changes; None in an installed wheel."""
    checkout = shipped("src").parent
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
