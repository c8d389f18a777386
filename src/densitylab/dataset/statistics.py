"""Statistics of the training split: what a network's output has to be multiplied with to become coefficients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from densitylab.dataset.graph import Graph
from densitylab.dataset.metric import Metric, errors
from densitylab.density import GaussianBasis, Prior

_SMALLEST_SCALE = 1e-8  # a shell that is never used keeps a scale that can be divided by
_SMALLEST_FRACTION = 0.01  # of the RMS itself: a single structure has no spread about its mean


@dataclass(frozen=True)
class Statistics:
    """Per element, (dim,) each, float64, in the order of the element's coefficients.

    Attributes
    ----------
    mean: of l = 0 coefficients; exactly zero for l > 0, where a mean would break equivariance.
    scale: RMS about ``mean``, one value per shell (an RMS per m would break equivariance too).
    electrons: of the neutral atom, beyond those that the prior holds, e.
    neighbours: mean number of neighbours of an atom.
    spread: mean per atom of the error, in the metric of the loss, of a network that predicts the mean.
    """

    mean: dict[str, Tensor]
    scale: dict[str, Tensor]
    electrons: dict[str, float]
    neighbours: float
    spread: float

    @classmethod
    def of(cls, graphs: Iterable[Graph], basis: GaussianBasis, prior: Prior, metric: Metric = "overlap") -> Statistics:
        """Statistics of labelled graphs. Raises ``ValueError`` if an element of the basis does not occur."""
        graphs, symbols = list(graphs), basis.symbols
        mean, scale = {}, {}
        for index, symbol in enumerate(symbols):
            rows = torch.cat([_rows(graph, index, symbols, basis) for graph in graphs])
            if len(rows) == 0:
                raise ValueError(f"no {symbol} among the training structures: its statistics are unknown")
            mean[symbol], scale[symbol] = _moments(rows, basis.of(symbol))
        edges, atoms = sum(g.edge_index.shape[1] for g in graphs), sum(g.num_nodes for g in graphs)
        spread = sum(_spread(graph, symbols, mean, metric) for graph in graphs)
        electrons = {symbol: prior.missing(symbol) for symbol in symbols}
        return cls(mean, scale, electrons, edges / atoms, spread / atoms)

    @classmethod
    def placeholder(cls, basis: GaussianBasis, neighbours: float = 1.0) -> Statistics:
        """Right shapes, no data: to build a network whose weights are read later, or only looked at."""
        ones = {symbol: torch.ones(basis.size(symbol), dtype=torch.float64) for symbol in basis.symbols}
        return cls(ones, ones, dict.fromkeys(basis.symbols, 0.0), neighbours, spread=1.0)


def function_offsets(species: Tensor, sizes: Tensor) -> Tensor:
    """(A,) index of the first function of every atom; ``sizes`` (number of elements,) functions per element."""
    widths = sizes[species]
    return torch.cumsum(widths, 0) - widths


def _spread(graph: Graph, symbols: list[str], mean: dict[str, Tensor], metric: Metric) -> float:
    """Error of the mean for one structure."""
    difference = graph.coefficients - torch.cat([mean[symbols[s]] for s in graph.species.tolist()])
    return float(errors(difference * graph.trusted, graph, metric).sum())


def _rows(graph: Graph, index: int, symbols: list[str], basis: GaussianBasis) -> Tensor:
    """(atoms of this element, dim) coefficients, as far as they are trusted."""
    sizes = torch.tensor([basis.size(symbol) for symbol in symbols])
    first = function_offsets(graph.species, sizes)[graph.species == index]
    first = first[graph.trusted[first] > 0]
    return graph.coefficients[first[:, None] + torch.arange(int(sizes[index]))]


def _moments(rows: Tensor, shells: tuple[tuple[int, float], ...]) -> tuple[Tensor, Tensor]:
    means, scales = [], []
    for block, (l, _) in zip(rows.split([2 * l + 1 for l, _ in shells], dim=1), shells, strict=True):
        mean = block.mean() if l == 0 else block.new_zeros(())
        spread, size = (block - mean).square().mean().sqrt(), block.square().mean().sqrt()
        scale = torch.maximum(spread, _SMALLEST_FRACTION * size).clamp_min(_SMALLEST_SCALE)
        means.append(mean.expand(2 * l + 1))
        scales.append(scale.expand(2 * l + 1))
    return torch.cat(means), torch.cat(scales)
