"""The convolution as a module: one interface, the fastest implementation that fits the device."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from densitylab.model.kernels.paths import Paths
from densitylab.model.kernels.reference import ReferenceConvolution

Kernel = Literal["auto", "reference"]


class Convolution(nn.Module):
    """out[i] = Σ_{j → i} Σ_paths w_e,p · (x_j ⊗ Y_e)_p, summed over the edges into every atom.

    Shapes: ``x`` (A, (l_in + 1)², C), ``harmonics`` (E, (l_edge + 1)²), ``weights`` (E, paths, C), ``edge_index``
    (2, E) source and target, sorted by target; result (A, (l_out + 1)², C). float32 or float64.

    On the CPU this is a compiled kernel whose backward cannot be differentiated again; where second derivatives are
    needed (``kernel="reference"``), and on other devices, e3nn's tensor product does the same.
    """

    def __init__(self, paths: Paths, channels: int, kernel: Kernel = "auto") -> None:
        super().__init__()
        self.paths, self.channels, self.kernel = paths, channels, kernel

    def forward(self, x: Tensor, harmonics: Tensor, weights: Tensor, edge_index: Tensor) -> Tensor:
        if self.kernel == "reference" or x.device.type != "cpu":
            slow: Tensor = _reference(self.paths, self.channels, x.dtype, x.device)(x, harmonics, weights, edge_index)
            return slow
        degrees = [self.paths.l_in, self.paths.l_edge, self.paths.l_out]
        fast: Tensor = torch.ops.densitylab.convolution(x, harmonics, weights, edge_index, degrees)
        return fast


@cache
def _reference(paths: Paths, channels: int, dtype: torch.dtype, device: torch.device) -> ReferenceConvolution:
    """Built on first use (seconds) and kept outside of the module: it has no weights that belong in a checkpoint."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # the precision in which e3nn writes down its Clebsch-Gordan coefficients
    try:
        return ReferenceConvolution(paths, channels).to(device)
    finally:
        torch.set_default_dtype(before)


@cache
def _table(degrees: tuple[int, ...]) -> Any:
    from densitylab.model.kernels.cpu import Table

    return Table.of(Paths(*degrees))


@torch.library.custom_op("densitylab::convolution", mutates_args=())
def _convolution(x: Tensor, harmonics: Tensor, weights: Tensor, edge_index: Tensor, degrees: list[int]) -> Tensor:
    from densitylab.model.kernels import cpu

    out = x.new_zeros(x.shape[0], (degrees[2] + 1) ** 2, x.shape[2])
    inputs = (x, harmonics, weights, edge_index[0], edge_index[1], out)
    cpu.forward(_table(tuple(degrees)), *[t.detach().contiguous().numpy() for t in inputs])
    return out


@torch.library.custom_op("densitylab::convolution_backward", mutates_args=())
def _convolution_backward(
    grad: Tensor, x: Tensor, harmonics: Tensor, weights: Tensor, edge_index: Tensor, degrees: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    from densitylab.model.kernels import cpu

    gradients = tuple(torch.zeros_like(t, memory_format=torch.contiguous_format) for t in (x, harmonics, weights))
    inputs = (x, harmonics, weights, edge_index[0], edge_index[1], grad)
    arrays = [t.detach().contiguous().numpy() for t in (*inputs, *gradients)]
    cpu.backward(_table(tuple(degrees)), *arrays)
    return gradients  # type: ignore[return-value]


@_convolution.register_fake
def _(x: Tensor, harmonics: Tensor, weights: Tensor, edge_index: Tensor, degrees: list[int]) -> Tensor:
    return x.new_empty(x.shape[0], (degrees[2] + 1) ** 2, x.shape[2])


@_convolution_backward.register_fake
def _(grad, x, harmonics, weights, edge_index, degrees):  # type: ignore[no-untyped-def]
    return tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, harmonics, weights))


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, harmonics, weights, edge_index, ctx.degrees = inputs
    ctx.save_for_backward(x, harmonics, weights, edge_index)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    x, harmonics, weights, edge_index = ctx.saved_tensors
    gradients = torch.ops.densitylab.convolution_backward(grad, x, harmonics, weights, edge_index, ctx.degrees)
    return (*gradients, None, None)


_convolution.register_autograd(_backward, setup_context=_setup_context)
