"""From labels to batches: graphs, splits by group, statistics of the training split."""

from densitylab.dataset.datamodule import DatasetError, DensityDataModule
from densitylab.dataset.graph import Graph, graph_from_atoms, graph_from_label
from densitylab.dataset.statistics import Statistics

__all__ = ["DatasetError", "DensityDataModule", "Graph", "Statistics", "graph_from_atoms", "graph_from_label"]
