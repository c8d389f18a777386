"""Backbone and density head as one network."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from densitylab.dataset.graph import Graph
from densitylab.dataset.statistics import Statistics
from densitylab.density import GaussianBasis
from densitylab.model.backbone import Backbone
from densitylab.model.heads import DensityHead
from densitylab.model.kernels.convolution import Kernel


class DensityNetwork(nn.Module):
    """Coefficients of Δρ from a graph.

    Parameters
    ----------
    basis, statistics: of the dataset (known at run time).
    lmax: largest l of the hidden features.
    channels: per l.
    layers: interactions before the last one.
    edge_lmax: largest l of the edge harmonics (the last interaction uses at least the basis' largest l).
    cutoff: neighbours, Å.
    radial: number of radial functions.
    kernel: ``reference`` for e3nn's own tensor product.
    dtype: of weights and features; coefficients are float64 either way.

    Raises
    ------
    ModelError
        If the pieces do not fit together.
    """

    def __init__(
        self, basis: GaussianBasis, statistics: Statistics, lmax: int = 2, channels: int = 32,
        layers: int = 3, edge_lmax: int = 3, cutoff: float = 4.0, radial: int = 8, kernel: Kernel = "auto",
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone = Backbone(
            len(basis.symbols), statistics.neighbours, basis.lmax,
            lmax, channels, layers, edge_lmax, cutoff, radial, kernel,
        )  # fmt: skip
        self.head = DensityHead(self.backbone.irreps_out, basis, statistics, radial)
        if dtype == "float64":
            self.double()

    def scales(self, graph: Graph) -> Tensor:
        """(F,) RMS of every coefficient in the training split."""
        return self.head.scales(graph)

    def forward(self, graph: Graph) -> Tensor:
        """(F,) float64, atom by atom, l ascending, m = −l … +l, for one graph or a batch."""
        features, radial = self.backbone(graph)
        coefficients: Tensor = self.head(features, radial, graph)
        return coefficients
