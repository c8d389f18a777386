"""The Lightning data module: labels of a store, split by group, as batches of graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader
from torch_geometric.data import Batch

from densitylab.dataset.batches import StepBatches
from densitylab.dataset.graph import Graph, graph_from_label
from densitylab.dataset.metric import Metric
from densitylab.dataset.split import DatasetError, split_by_group
from densitylab.dataset.statistics import Statistics
from densitylab.labels import StoreError
from densitylab.labels.records import Label
from densitylab.labels.source import LabelSource

__all__ = ["DatasetError", "DensityDataModule"]


class DensityDataModule(LightningDataModule):
    """Density labels as graphs.

    Parameters
    ----------
    source: which labels; only the elements of the structures that are used count.
    cutoff: neighbours within this many Å.
    train_groups, validation_groups, test_groups: shell patterns of group names; a structure in none is not used.
    train_size: number of training structures (all if ``None``); smaller sets are subsets of larger ones.
    batch_size: structures per step. max_atoms: of them together at most (no bound if ``None``).
    metric: of the loss; decides what graphs carry.
    elements: that the network has to know; ``None`` for those of the structures that are used.
    seed: of the draw and of the order of batches.

    Raises
    ------
    DatasetError
        If a split cannot be made as asked.
    LabelError
        If the store has nothing at this level.
    """

    def __init__(
        self,
        source: LabelSource,
        cutoff: float,
        train_groups: list[str],
        validation_groups: list[str],
        test_groups: list[str],
        train_size: int | None = None,
        batch_size: int = 4,
        max_atoms: int | None = None,
        metric: Metric = "overlap",
        elements: list[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.keys = split_by_group(source.infos(), test_groups, validation_groups, train_groups, train_size, seed)
        self.source = source.of((key for keys in self.keys.values() for key in keys), elements)
        self.cutoff, self.batch_size, self.max_atoms, self.seed = cutoff, batch_size, max_atoms, seed
        self.metric = metric
        self._graphs: dict[str, list[Graph]] = {}

    def describe(self) -> list[str]:
        """How many structures, and how many of them have no fit in this representation yet."""
        counts = ", ".join(f"{name} {len(keys)}" for name, keys in self.keys.items())
        try:
            missing = len(self.source.unfitted(key for keys in self.keys.values() for key in keys))
        except StoreError:  # a frozen store without the atoms of the prior
            missing = sum(map(len, self.keys.values()))
        return [f"{counts} structures"] + [f"{missing} fits missing"] * bool(missing)

    def check(self, ranks: int = 1, validates: bool = False) -> None:
        """Whether ``ranks`` processes can train on this, and stop by a validation if ``validates``.

        Raises
        ------
        DatasetError
            If not.
        """
        if not self.keys["train"]:
            raise DatasetError("no training structures: train_groups is empty")
        if validates and not self.keys["validation"]:
            raise DatasetError("validation_groups is empty, and objective.patience needs validation structures")
        self._batches(steps=1, first=int, rank=0, ranks=ranks)

    def prepare_data(self) -> None:
        """Fit what has no fit in this representation yet; the first of several processes does it for all."""
        self.source.complete([key for keys in self.keys.values() for key in keys])

    def labels(self, split: str) -> list[Label]:
        """Calculations and fits of a split, in the order of its graphs."""
        return [self.source.load(key) for key in self.keys[split]]

    def graphs(self, split: str) -> list[Graph]:
        """Graphs of a split; made on first use, kept in memory."""
        if split not in self._graphs:
            self._graphs[split] = [
                graph_from_label(
                    label, self.source.basis.symbols, self.cutoff, None if split == "test" else self.metric
                )
                for label in self.labels(split)
            ]
        return self._graphs[split]

    def statistics(self) -> Statistics:
        """Of the training split only. Raises :class:`DatasetError` if it is empty."""
        self.check()
        return Statistics.of(self.graphs("train"), self.source.basis, self.source.prior, self.metric)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches, one for each of the trainer's ``max_steps``; after a resume, those that are left."""
        graphs, trainer = self.graphs("train"), self.trainer
        if trainer is None or trainer.max_steps < 1:
            raise DatasetError("training needs a trainer with max_steps: budgets count steps")
        batches = self._batches(trainer.max_steps, lambda: trainer.global_step, trainer.global_rank, trainer.world_size)
        return DataLoader(graphs, batch_sampler=batches, collate_fn=Batch.from_data_list)  # type: ignore[arg-type]

    def _batches(self, steps: int, first: Callable[[], int], rank: int, ranks: int) -> StepBatches:
        atoms = [self.source.size(key) if self.max_atoms else 1 for key in self.keys["train"]]
        try:
            return StepBatches(atoms, self.batch_size, self.seed, steps, first, self.max_atoms, rank, ranks)
        except ValueError as error:
            raise DatasetError(str(error)) from None

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches of the validation split."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split."""
        return self._loader("test")

    def _loader(self, split: str) -> DataLoader[Any]:
        graphs = self.graphs(split)
        return DataLoader(graphs, batch_size=self.batch_size, collate_fn=Batch.from_data_list)  # type: ignore[arg-type]
