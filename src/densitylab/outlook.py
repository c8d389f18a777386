"""What a point will do, before anything is computed: a task may define ``outlook(config)`` in its own module."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from omegaconf import DictConfig

from densitylab.build import resolve
from densitylab.errors import sentence
from densitylab.record import task_hash


@dataclass
class Outlook:
    """``facts`` are what ``plan=true`` prints of a point; ``problems`` are why it cannot be started now.

    Problems ``here`` are those of this machine: no obstacle where a launcher sends the run to another one.
    """

    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    here: list[str] = field(default_factory=list)


def outlooks(configs: Sequence[DictConfig]) -> list[Outlook]:
    """Ask the task of each configuration; those that share a task have the same before them, and are asked once."""
    hashes = [task_hash(config) for config in configs]
    asked: dict[str, Outlook] = {}
    for config, key in zip(configs, hashes, strict=True):
        if key not in asked:
            asked[key] = outlook(config)
    return [asked[key] for key in hashes]


def outlook(config: DictConfig) -> Outlook:
    """Ask the task: it builds its model and optimiser and looks for its data, and computes nothing.

    Whatever it raises becomes a problem: a configuration that cannot be built costs seconds, not hours.
    """
    task = resolve(config.task["_target_"])
    ask: Callable[[DictConfig], Outlook] = getattr(sys.modules[task.__module__], "outlook", _unknown)
    try:
        return ask(config)
    except Exception as error:
        if config.debug:
            traceback.print_exc()
        return Outlook(problems=[sentence(error)])


def _unknown(config: DictConfig) -> Outlook:
    return Outlook()
