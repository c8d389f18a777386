"""Layers on channels-last features (atoms, Σ(2l + 1), channels)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from densitylab.model.kernels import Convolution, Paths
from densitylab.model.kernels.convolution import Kernel
from densitylab.model.kernels.paths import block


class EquivariantLinear(nn.Module):
    """Mixes channels, one matrix per l, a bias for l = 0: (A, (l_max + 1)², in) → (A, (l_max + 1)², out)."""

    def __init__(self, l_max: int, channels_in: int, channels_out: int, bias: bool = True) -> None:
        super().__init__()
        self.l_max = l_max
        self.weight = nn.Parameter(torch.randn(l_max + 1, channels_in, channels_out) / math.sqrt(channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, block(l)] @ self.weight[l] for l in range(self.l_max + 1)]
        if self.bias is not None:
            parts[0] = parts[0] + self.bias
        return torch.cat(parts, dim=1)


class SpeciesLinear(nn.Module):
    """An :class:`EquivariantLinear` of its own for every element; ``species`` (A,)."""

    def __init__(self, elements: int, l_max: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(EquivariantLinear(l_max, channels_in, channels_out) for _ in range(elements))

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        # Every element's weights take part in every step, present or not: gradients exist on all ranks under DDP.
        parts = [(species == index).to(x.dtype)[:, None, None] * f(x) for index, f in enumerate(self.linears)]
        return torch.stack(parts).sum(0)


class RadialBasis(nn.Module):
    """sin(nπr/r_c)/r · √(2/r_c), n = 1 … ``number``, times DimeNet's polynomial envelope: (E,) Å → (E, number)."""

    frequencies: Tensor

    def __init__(self, cutoff: float, number: int, power: int = 6) -> None:
        super().__init__()
        self.cutoff, self.power = cutoff, power
        self.register_buffer("frequencies", math.pi * torch.arange(1, number + 1) / cutoff)

    def forward(self, distance: Tensor) -> Tensor:
        r = distance[:, None]
        waves = math.sqrt(2 / self.cutoff) * torch.sin(self.frequencies.to(r.dtype) * r) / r
        # Normalised to unit variance over distances, as the layers that follow expect.
        return waves * self._envelope(r / self.cutoff) * self.cutoff / 2

    def _envelope(self, u: Tensor) -> Tensor:
        p = self.power
        polynomial = (p + 1) * (p + 2) / 2 * u**p - p * (p + 2) * u ** (p + 1) + p * (p + 1) / 2 * u ** (p + 2)
        return torch.where(u < 1, 1 - polynomial, torch.zeros_like(u))


class Interaction(nn.Module):
    """Convolution over neighbours, species-dependent skip, gate.

    (A, (l_in + 1)², C) → (A, (l_out + 1)², C), with edge harmonics up to ``l_edge``. Messages are divided by
    √(mean number of neighbours). Scalars pass SiLU, l > 0 is multiplied with sigmoids of scalars (e3nn's gate).
    """

    scale: Tensor

    def __init__(
        self, elements: int, l_in: int, l_edge: int, l_out: int, channels: int, radial: int, neighbours: float,
        radial_width: int = 64, kernel: Kernel = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        self.paths = Paths(l_in, l_edge, l_out)
        self.l_skip, self.l_out, self.channels = min(l_in, l_out), l_out, channels
        self.up = EquivariantLinear(l_in, channels, channels, bias=False)
        self.radial = nn.Sequential(
            nn.Linear(radial, radial_width, bias=False),  # without bias: zero at the cutoff
            nn.SiLU(),
            nn.Linear(radial_width, len(self.paths.triples) * channels, bias=False),
        )
        self.convolution = Convolution(self.paths, channels, kernel)
        self.down = EquivariantLinear(l_out, channels, channels, bias=False)
        self.skip = SpeciesLinear(elements, self.l_skip, channels, channels)
        self.gates = nn.Linear(channels, channels * l_out) if l_out > 0 else None
        self.register_buffer("scale", torch.tensor(1.0 / math.sqrt(max(neighbours, 1.0))))

    def forward(self, x: Tensor, species: Tensor, harmonics: Tensor, radial: Tensor, edge_index: Tensor) -> Tensor:
        weights = self.radial(radial).unflatten(1, (-1, self.channels))
        message = self.convolution(self.up(x), harmonics, weights, edge_index) * self.scale
        hidden = self.down(message)
        skip = self.skip(x[:, : (self.l_skip + 1) ** 2], species)
        hidden = hidden + nn.functional.pad(skip, (0, 0, 0, hidden.shape[1] - skip.shape[1]))
        return self._gate(hidden)

    def _gate(self, x: Tensor) -> Tensor:
        scalars = x[:, 0]
        if self.gates is None:
            return nn.functional.silu(x)
        gates = torch.sigmoid(self.gates(scalars)).unflatten(1, (self.l_out, self.channels))
        parts = [nn.functional.silu(scalars)[:, None]]
        parts += [x[:, block(l)] * gates[:, l - 1, None] for l in range(1, self.l_out + 1)]
        return torch.cat(parts, dim=1)
