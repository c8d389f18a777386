"""Which structures make up the batch of a step: a pure function of seed and step, the same for a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler


class StepBatches(Sampler[list[int]]):
    """The batches of the steps ``first()`` … ``steps`` − 1.

    The structures are dealt in one shuffled pass after another; pass ``n`` is shuffled by (seed, n) alone. A batch
    takes the next ``batch_size`` of them, fewer if they have more than ``max_atoms`` atoms together. Sets smaller than
    a batch give batches of the whole set. Of ``ranks`` processes each takes its share of every batch: together they see
    what one process would see. A structure that alone has more than ``max_atoms`` is a batch of its own.

    Parameters
    ----------
    atoms: number of atoms of every structure.
    batch_size: structures per batch.
    seed: of the order.
    steps: number of batches.
    first: is asked for the first batch; Lightning makes iterators before it restores the step of a checkpoint.
    max_atoms: of a batch; no bound if ``None``.
    rank, ranks: of this process, and number of processes.

    Raises
    ------
    ValueError
        If a batch is too small to be shared by so many processes.
    """

    def __init__(
        self, atoms: Sequence[int], batch_size: int, seed: int, steps: int, first: Callable[[], int],
        max_atoms: int | None = None, rank: int = 0, ranks: int = 1,
    ) -> None:  # fmt: skip
        self.atoms, self.batch_size, self.max_atoms = atoms, min(batch_size, len(atoms)), max_atoms
        self.seed, self.steps, self.first = seed, steps, first
        self.rank, self.ranks = rank, ranks
        if self.batch_size < ranks:
            raise ValueError(f"a batch of {self.batch_size} structures cannot be shared by {ranks} processes")
        if ranks > 1 and max_atoms is not None and sum(sorted(atoms)[-ranks:]) > max_atoms:
            raise ValueError(f"a batch of {max_atoms} atoms cannot always be shared by {ranks} processes")
        self._starts = [0]  # of every batch among all positions; grows as far as it is asked for

    def __iter__(self) -> Iterator[list[int]]:
        yield from map(self.batch, range(self.first(), self.steps))

    def __len__(self) -> int:
        """All steps, also those before ``first``: Lightning counts a resumed run from the beginning."""
        return self.steps

    def batch(self, step: int) -> list[int]:
        """Indices of this process's share of the batch of a step."""
        while len(self._starts) < step + 2:
            self._starts.append(self._end(self._starts[-1]))
        return [self._at(place) for place in range(self._starts[step] + self.rank, self._starts[step + 1], self.ranks)]

    def _end(self, start: int) -> int:
        """Where the batch that begins at ``start`` ends."""
        end, total = start, 0
        while end < start + self.batch_size:
            total += self.atoms[self._at(end)]
            if self.max_atoms is not None and total > self.max_atoms and end > start:
                break
            end += 1
        return end

    def _at(self, position: int) -> int:
        size = len(self.atoms)
        return _pass(self.seed, position // size, size)[position % size]


@lru_cache(maxsize=4)
def _pass(seed: int, number: int, size: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, number]).permutation(size).tolist()
    return order
