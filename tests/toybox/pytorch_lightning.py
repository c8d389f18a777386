"""Stands in for Lightning, whose import takes seconds, in the processes that these tests start."""

import random
from typing import Any


def seed_everything(seed: int, **_: Any) -> None:
    random.seed(seed)
