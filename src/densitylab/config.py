"""Where configurations live, which top-level keys they have, and the resolvers they may use."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONFIG_NAME = "config"
STARTED = datetime.now()


@dataclass
class Paths:
    """Where things are on this machine; not part of what a run *is*, so not part of its hash."""

    outputs: str
    data: str


@dataclass
class Config:
    """The fixed top level. The groups are free: validate.py checks each against what it calls."""

    seed: int
    name: str
    plan: bool
    debug: bool
    paths: Paths
    task: Any
    report: Any = None
    structures: Any = None
    basis: Any = None
    prior: Any = None
    labels: Any = None
    dataset: Any = None
    model: Any = None
    objective: Any = None
    evaluation: Any = None
    trainer: Any = None
    logger: Any = None


def shipped(folder: str) -> Path:
    """A folder that comes with densitylab: the checkout's own first, else the copy in the installed wheel."""
    here = Path(__file__).resolve()
    checkout = here.parents[2]
    inside_checkout = (checkout / "src" / "densitylab") == here.parent
    return checkout / folder if inside_checkout else here.parent / folder


def conf_dir() -> Path:
    """The configuration folder: ``DENSITYLAB_CONF`` if set, else the shipped one."""
    return Path(os.environ.get("DENSITYLAB_CONF") or shipped("conf")).resolve()


def describe(file: Path) -> str:
    """The comment that opens a YAML file (line 2 under ``# @package``, which must come first to be seen)."""
    lines = file.read_text(encoding="utf-8").splitlines()[:2]
    comments = [line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line]
    return comments[0] if comments else ""


def catalogue(group: str) -> str:
    """One line per option of a group, for ``--help``; ``$`` is doubled because Hydra's template eats it."""
    files = sorted((conf_dir() / group).glob("*.yaml"))
    width = max((len(file.stem) for file in files), default=0)
    lines = [f"  {file.stem:<{width}}  {describe(file)}".rstrip() for file in files]
    return "\n".join(lines).replace("$", "$$")


def slug(text: str) -> str:
    """A directory name that needs no quoting anywhere, on the command line of Hydra either."""
    plain = re.sub(r"[^\w.+-]+", "_", str(text))
    name = re.sub(r"_*([_-])_*", r"\1", plain).strip("_+")
    if len(name) > 200:  # what two names differ in may be cut off
        name = f"{name[:180]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name or "default"


def verb(target: str) -> str:
    """The last part of a dotted path: ``densitylab.tasks.train.train`` → ``train``."""
    return target.rsplit(".", 1)[-1]


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def register_resolvers() -> None:
    """Make the resolvers of ``conf/`` known to OmegaConf; calling it again does no harm."""
    # Hydra's own ${now:} is evaluated anew by every composition, so the check before the run and the run
    # would disagree on the directory. This one is fixed per process; its cache travels to remote launchers.
    OmegaConf.register_new_resolver("started", STARTED.strftime, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("shipped", lambda folder: str(shipped(folder)), replace=True)
    OmegaConf.register_new_resolver("catalogue", catalogue, replace=True)
    OmegaConf.register_new_resolver("cores", cores, replace=True)
    OmegaConf.register_new_resolver("slug", slug, replace=True)
    OmegaConf.register_new_resolver("verb", verb, replace=True)
