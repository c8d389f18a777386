"""The convolution by e3nn's own tensor product: slow, plain, differentiable to any order. The truth of the tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densitylab.model.kernels.paths import Paths, block


class ReferenceConvolution(nn.Module):
    """See :class:`~densitylab.model.kernels.convolution.Convolution` for shapes."""

    def __init__(self, paths: Paths, channels: int) -> None:
        from e3nn import o3

        super().__init__()
        self.paths, self.channels = paths, channels

        def irreps(l_max: int, multiplicity: int) -> o3.Irreps:
            return o3.Irreps([(multiplicity, (l, (-1) ** l)) for l in range(l_max + 1)])

        # e3nn's "component" path normalisation with one output irrep per l is that of Paths.coefficients.
        self.product = o3.TensorProduct(
            irreps(paths.l_in, channels),
            irreps(paths.l_edge, 1),
            irreps(paths.l_out, channels),
            [(*triple, "uvu", True) for triple in paths.triples],
            irrep_normalization="component",
            path_normalization="path",
            shared_weights=False,
            internal_weights=False,
        )

    def forward(self, x: Tensor, harmonics: Tensor, weights: Tensor, edge_index: Tensor) -> Tensor:
        source, target = edge_index
        messages = self.product(_to_e3nn(x[source], self.paths.l_in), harmonics, weights.flatten(1))
        out = x.new_zeros(len(x), messages.shape[1]).index_add(0, target, messages)
        return _from_e3nn(out, self.paths.l_out, self.channels)


def _to_e3nn(x: Tensor, l_max: int) -> Tensor:
    """(N, Σ(2l + 1), C) → (N, C·Σ(2l + 1)), blocks by l, channel-major within a block."""
    return torch.cat([x[:, block(l)].transpose(1, 2).flatten(1) for l in range(l_max + 1)], dim=1)


def _from_e3nn(x: Tensor, l_max: int, channels: int) -> Tensor:
    blocks = x.split([channels * (2 * l + 1) for l in range(l_max + 1)], dim=1)
    parts = [b.reshape(len(x), channels, -1).transpose(1, 2) for b in blocks]
    return torch.cat(parts, dim=1)
