"""The Lightning data module: labels of a store, split by group, as batches of graphs."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader
from torch_geometric.data import Batch

from densitylab.dataset.batches import StepBatches
from densitylab.dataset.graph import Graph, graph_from_label
from densitylab.dataset.split import DatasetError, split_by_group
from densitylab.dataset.statistics import Statistics
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
    batch_size: structures per step.
    seed: of the draw and of the order of batches.

    Raises
    ------
    DatasetError
        If a split cannot be made as asked.
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
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.keys = split_by_group(source.infos(), test_groups, validation_groups, train_groups, train_size, seed)
        self.source = source.of(key for keys in self.keys.values() for key in keys)
        self.cutoff, self.batch_size, self.seed = cutoff, batch_size, seed
        self._graphs: dict[str, list[Graph]] = {}

    def prepare_data(self) -> None:
        """Fit what has no fit in this representation yet (one process only, under DDP)."""
        self.source.complete(key for keys in self.keys.values() for key in keys)

    def labels(self, split: str) -> list[Label]:
        """Calculations and fits of a split, in the order of its graphs."""
        return [self.source.load(key) for key in self.keys[split]]

    def graphs(self, split: str) -> list[Graph]:
        """Graphs of a split; made on first use, kept in memory."""
        if split not in self._graphs:
            self._graphs[split] = [
                graph_from_label(label, self.source.basis.symbols, self.cutoff) for label in self.labels(split)
            ]
        return self._graphs[split]

    def statistics(self) -> Statistics:
        """Of the training split only. Raises :class:`DatasetError` if it is empty."""
        if not self.keys["train"]:
            raise DatasetError("no training structures: train_groups is empty")
        return Statistics.of(self.graphs("train"), self.source.basis, self.source.prior)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches, one for each of the trainer's ``max_steps``; after a resume, those that are left."""
        graphs, trainer = self.graphs("train"), self.trainer
        if trainer is None or trainer.max_steps < 1:
            raise DatasetError("training needs a trainer with max_steps: budgets count steps")
        rank, ranks = trainer.global_rank, trainer.world_size
        batches = StepBatches(
            len(graphs), self.batch_size, self.seed, trainer.max_steps, lambda: trainer.global_step, rank, ranks
        )
        return DataLoader(graphs, batch_sampler=batches, collate_fn=Batch.from_data_list)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        """Batches of the validation split."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split."""
        return self._loader("test")

    def _loader(self, split: str) -> DataLoader[Any]:
        graphs = self.graphs(split)
        return DataLoader(graphs, batch_size=self.batch_size, collate_fn=Batch.from_data_list)  # type: ignore[arg-type]
