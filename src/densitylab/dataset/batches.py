"""Which structures make up the batch of a step: a pure function of seed and step, the same for a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler


class StepBatches(Sampler[list[int]]):
    """The batches of ``batch_size`` out of ``size`` structures of the steps ``first()`` … ``steps`` − 1.

    Of ``ranks`` processes each takes its share of every batch: together they see what one process would see.
    ``first`` is asked for the first batch: Lightning makes iterators before it restores the step of a checkpoint.

    The structures are dealt in one shuffled pass after another; pass ``n`` is shuffled by (seed, n) alone. Sets smaller
    than a batch give batches of the whole set.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, steps: int, first: Callable[[], int], rank: int = 0, ranks: int = 1
    ) -> None:
        self.size, self.batch_size = size, min(batch_size, size)
        self.seed, self.steps, self.first = seed, steps, first
        self.rank, self.ranks = rank, ranks
        if self.batch_size < ranks:
            raise ValueError(f"a batch of {self.batch_size} structures cannot be shared by {ranks} processes")

    def __iter__(self) -> Iterator[list[int]]:
        yield from map(self.batch, range(self.first(), self.steps))

    def __len__(self) -> int:
        """All steps, also those before ``first``: Lightning counts a resumed run from the beginning."""
        return self.steps

    def batch(self, step: int) -> list[int]:
        """Indices of this process's share of the batch of a step."""
        positions = range(step * self.batch_size + self.rank, (step + 1) * self.batch_size, self.ranks)
        return [_pass(self.seed, position // self.size, self.size)[position % self.size] for position in positions]


@lru_cache(maxsize=4)
def _pass(seed: int, number: int, size: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, number]).permutation(size).tolist()
    return order
