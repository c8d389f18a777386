"""The default backbone: channel-wise tensor-product convolutions with natural-parity features (DESIGN.md §4)."""

from __future__ import annotations

import torch
from e3nn import o3
from e3nn.o3 import Irreps
from torch import Tensor, nn

from densitylab.dataset.graph import Graph
from densitylab.density.conventions import E3NN_AXES
from densitylab.model.errors import ModelError
from densitylab.model.kernels.convolution import Kernel
from densitylab.model.layers import Interaction, RadialBasis


class Backbone(nn.Module):
    """Features per atom from a graph.

    ``layers`` interactions keep features up to ``lmax`` with edge harmonics up to ``edge_lmax``; a last one reaches
    ``l_out`` with edge harmonics up to max(``edge_lmax``, ``l_out``), so that every output is reachable from scalars.
    The receptive field is (layers + 1) · ``cutoff``.

    Output: (A, (l_out + 1)², channels), l ascending, m = −l … +l, parity (−1)^l: :attr:`irreps_out`.
    """

    interactions: list[Interaction]

    def __init__(
        self, elements: int, neighbours: float, l_out: int, lmax: int = 2, channels: int = 32, layers: int = 3,
        edge_lmax: int = 3, cutoff: float = 4.0, radial: int = 8, kernel: Kernel = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        if lmax < 0 or layers < 1 or channels < 1 or cutoff <= 0:
            raise ModelError(
                f"a backbone needs lmax ≥ 0, layers ≥ 1, channels ≥ 1 and cutoff > 0; "
                f"got {lmax}, {layers}, {channels}, {cutoff}"
            )
        self.lmax, self.l_out, self.channels, self.cutoff = lmax, l_out, channels, cutoff
        self.l_harmonics = max(edge_lmax, l_out)
        self.embedding = nn.Embedding(elements, channels)
        self.radial = RadialBasis(cutoff, radial)
        degrees = [(0 if n == 0 else lmax, edge_lmax, lmax) for n in range(layers)]
        degrees.append((lmax, self.l_harmonics, l_out))
        self.interactions = nn.ModuleList(  # type: ignore[assignment]
            Interaction(elements, l_in, l_edge, l_next, channels, radial, neighbours, kernel=kernel)
            for l_in, l_edge, l_next in degrees
        )

    @property
    def irreps_out(self) -> Irreps:
        """e3nn irreps of the features."""
        return Irreps([(self.channels, (l, (-1) ** l)) for l in range(self.l_out + 1)])

    def forward(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Features, and the radial functions (E, radial) that heads may use."""
        harmonics, radial = self._edges(graph)
        x = self.embedding(graph.species)[:, None]
        for interaction in self.interactions:
            l_edge = interaction.paths.l_edge
            new = interaction(x, graph.species, harmonics[:, : (l_edge + 1) ** 2], radial, graph.edge_index)
            x = _residual(x, new)
        return x, radial

    def _edges(self, graph: Graph) -> tuple[Tensor, Tensor]:
        source, target = graph.edge_index
        vectors = (graph.pos[source] + graph.edge_shift - graph.pos[target]).to(self.embedding.weight.dtype)
        harmonics = o3.spherical_harmonics(
            list(range(self.l_harmonics + 1)),
            vectors[:, E3NN_AXES],
            normalize=True,
            normalization="component",
        )
        return harmonics, self.radial(vectors.norm(dim=1))


def _residual(old: Tensor, new: Tensor) -> Tensor:
    """Sum over the components that both have."""
    shared = min(old.shape[1], new.shape[1])
    return torch.cat([old[:, :shared] + new[:, :shared], new[:, shared:]], dim=1)
