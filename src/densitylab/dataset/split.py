"""Splits by group: structures cut from one trajectory stay on one side."""

from __future__ import annotations

import random
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any


class DatasetError(ValueError):
    """A dataset that cannot be made as asked; the message says what is there."""


def split_by_group(
    infos: Mapping[str, Mapping[str, Any]],
    test_groups: list[str],
    validation_groups: list[str],
    train_groups: list[str],
    train_size: int | None,
    seed: int,
) -> dict[str, list[str]]:
    """Keys of ``train``, ``validation`` and ``test``.

    Groups are chosen by shell patterns (``water-300K-1*``). ``train_size`` structures are drawn from the training
    groups so that smaller sets are subsets of larger ones for the same ``seed``.

    Raises
    ------
    DatasetError
        A group claimed by two splits, a pattern that matches nothing, or fewer training structures than asked for.
    """
    patterns = {"train": train_groups, "validation": validation_groups, "test": test_groups}
    groups = sorted({info["group"] for info in infos.values()})
    members = {name: _matching(groups, patterns[name], name) for name in patterns}
    for group in groups:
        owners = [name for name in members if group in members[name]]
        if len(owners) > 1:
            raise DatasetError(f"group {group} is claimed by {' and '.join(owners)}")
    keys = {name: sorted(k for k, info in infos.items() if info["group"] in members[name]) for name in members}
    return keys | {"train": _draw(keys["train"], train_size, seed)}


def _matching(groups: list[str], patterns: list[str], name: str) -> set[str]:
    for pattern in patterns:
        if not any(fnmatchcase(group, pattern) for group in groups):
            shown = ", ".join(groups[:8]) + (f" and {len(groups) - 8} more" if len(groups) > 8 else "")
            raise DatasetError(f"no group matches {name}_groups={pattern}; there are {shown}")
    return {group for group in groups if any(fnmatchcase(group, pattern) for pattern in patterns)}


def _draw(keys: list[str], size: int | None, seed: int) -> list[str]:
    available = len(keys)
    if size is not None and size < 1:
        raise DatasetError(f"no training structures: {available} available, train_size={size}")
    if size is not None and size > available:
        raise DatasetError(f"train_size={size}, but only {available} training structures are available")
    shuffled = random.Random(seed).sample(keys, available)
    return shuffled[:size]
