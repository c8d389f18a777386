"""The density head: coefficients of Δρ per element, with exactly the right number of electrons."""

from __future__ import annotations

import torch
from ase import Atoms
from e3nn.o3 import Irreps
from torch import Tensor, nn

from densitylab.dataset.graph import Graph
from densitylab.dataset.statistics import Statistics, function_offsets
from densitylab.density import GaussianBasis
from densitylab.model.errors import ModelError
from densitylab.model.kernels.paths import block
from densitylab.model.scaling import ElementScaling, scales, scatter_rows


class DensityHead(nn.Module):
    """Features (A, (l + 1)², C) → coefficients (F,), float64.

    A linear layer per element and l gives scaled coefficients; the statistics of the training split un-scale them in
    float64. Then charge is conserved by construction: every atom's electron number is set to n_i = Σ_j t_ij − Q/A,
    with flows t_ij = −t_ji along edges, so that Σ n_i = −Q exactly, and neutral molecules without edges between them
    never exchange charge. (Without a prior, n_i starts from the neutral atom's Z.)

    Raises
    ------
    ModelError
        If the basis has an l that the backbone's irreps do not contain.
    """

    elements: list[ElementHead]
    sizes: Tensor
    neutral: Tensor

    def __init__(self, irreps_in: Irreps, basis: GaussianBasis, statistics: Statistics, radial: int) -> None:
        super().__init__()
        for symbol in basis.symbols:
            lacking = sorted({str(ir) for _, ir in basis.irreps(symbol) if ir not in irreps_in})
            if lacking:
                raise ModelError(f"{symbol} in {basis.name} needs {', '.join(lacking)}, the backbone has {irreps_in}")
        channels = irreps_in[0].mul
        self.elements = nn.ModuleList(  # type: ignore[assignment]
            ElementHead(channels, symbol, basis, statistics) for symbol in basis.symbols
        )
        self.register_buffer("sizes", torch.tensor([basis.size(symbol) for symbol in basis.symbols]))
        neutral = [statistics.electrons[symbol] for symbol in basis.symbols]
        self.register_buffer("neutral", torch.tensor(neutral, dtype=torch.float64))
        self.flow = ChargeFlow(channels, radial)

    def forward(self, features: Tensor, radial: Tensor, graph: Graph) -> Tensor:
        electrons = self.neutral[graph.species] + self.flow(features[:, 0], radial, graph)
        offsets = function_offsets(graph.species, self.sizes)
        total = int(self.sizes[graph.species].sum())
        own = [graph.species == index for index in range(len(self.elements))]
        rows = [element(features[atoms], electrons[atoms]) for element, atoms in zip(self.elements, own, strict=True)]
        return scatter_rows(rows, graph.species, offsets, total)

    def scales(self, graph: Graph) -> Tensor:
        """(F,) RMS of every coefficient in the training split."""
        return scales([element.scaling for element in self.elements], graph.species)


class ElementHead(nn.Module):
    """Coefficients (n, dim) of the n atoms of one element from features (n, (l + 1)², C) and electrons (n,).

    The correction of the charge goes into the s-functions, to each in proportion to its variance times its charge:
    the smallest change there is in scaled coefficients.
    """

    charges: Tensor
    share: Tensor

    def __init__(self, channels: int, symbol: str, basis: GaussianBasis, statistics: Statistics) -> None:
        super().__init__()
        irreps = basis.irreps(symbol)
        self.degrees = [ir.l for _, ir in irreps]
        self.weights = nn.ParameterList(torch.randn(channels, mul) / channels**0.5 for mul, _ in irreps)
        charges = basis.shells(Atoms(symbol)).charges()
        variance = statistics.scale[symbol] ** 2 * charges
        self.scaling = ElementScaling(statistics.mean[symbol], statistics.scale[symbol])
        self.register_buffer("charges", charges)
        self.register_buffer("share", variance / (variance @ charges))

    def forward(self, features: Tensor, electrons: Tensor) -> Tensor:
        scaled = [
            torch.einsum("nmc,ck->nkm", features[:, block(l)], weight).flatten(1)
            for l, weight in zip(self.degrees, self.weights, strict=True)
        ]
        rows: Tensor = self.scaling(torch.cat(scaled, dim=1))
        return rows + (electrons - rows @ self.charges)[:, None] * self.share


class ChargeFlow(nn.Module):
    """Electrons per atom beyond the neutral atom, (A,) float64: antisymmetric flows along edges, minus Q/A."""

    def __init__(self, channels: int, radial: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.radial = nn.Linear(radial, channels, bias=False)

    def forward(self, scalars: Tensor, radial: Tensor, graph: Graph) -> Tensor:
        once = graph.edge_index[0] < graph.edge_index[1]  # a pair's flow is one number: given here, taken there
        source, target = graph.edge_index[:, once]
        u, v = self.first(scalars), self.second(scalars)
        flow = (u[target] * v[source] - u[source] * v[target]) * self.radial(radial[once])
        flow = flow.mean(1).double()
        batch = graph.batch if graph.batch is not None else torch.zeros_like(graph.species)
        atoms = torch.bincount(batch, minlength=len(graph.charge))
        missing = -(graph.charge.double() / atoms)[batch]
        return missing.index_add(0, target, flow).index_add(0, source, -flow)
