"""From scaled outputs of order one to coefficients, in float64."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ElementScaling(nn.Module):
    """c = mean + scale · y for one element: (n, dim) network type → (n, dim) float64."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        # Clones: two buffers that share memory would overwrite each other when a checkpoint is loaded.
        self.register_buffer("mean", mean.double().clone())
        self.register_buffer("scale", scale.double().clone())

    def forward(self, scaled: Tensor) -> Tensor:
        return self.mean + self.scale * scaled.double()


def scales(elements: list[ElementScaling], species: Tensor) -> Tensor:
    """(F,) scale of every coefficient of a graph."""
    return torch.cat([elements[index].scale for index in species.tolist()])


def scatter_rows(rows: list[Tensor], species: Tensor, offsets: Tensor, size: int) -> Tensor:
    """(F,) coefficients from ``rows``: per element, (n, dim) of its atoms in order; ``offsets`` (A,) of every atom."""
    coefficients = rows[0].new_zeros(size)
    for index, own in enumerate(rows):
        where = offsets[species == index, None] + torch.arange(own.shape[1], device=own.device)
        coefficients = coefficients.index_put((where,), own)
    return coefficients
