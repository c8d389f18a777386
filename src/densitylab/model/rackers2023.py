"""The network of Rackers et al. 2023: e3nn's ``gate_points_2101.Network``, as published, for comparison."""

from __future__ import annotations

import math
from typing import Any

import torch
from e3nn.nn.models.gate_points_2101 import Network
from e3nn.o3 import Irrep, Irreps
from torch import Tensor, nn

from densitylab.dataset.graph import Graph
from densitylab.dataset.statistics import Statistics, function_offsets
from densitylab.density import GaussianBasis
from densitylab.density.conventions import E3NN_AXES
from densitylab.model.errors import ModelError
from densitylab.model.scaling import ElementScaling, scales, scatter_rows

WIDTHS = {
    0: (500,),
    1: (250, 83),
    2: (167, 56, 33),
    3: (125, 42, 25, 18),
    4: (100, 33, 20, 14, 11),
    5: (83, 28, 17, 12, 9, 8),
}
"""Multiplicity of every l: about 500 feature components, split evenly over l (paper, figure 2; extended to l = 5)."""


class RackersNetwork(nn.Module):
    """Coefficients of Δρ, (F,) float64, one row of ``irreps_out`` per atom; elements with fewer shells use the front.

    Hidden features carry every multiplicity in both parities. Targets are scaled by the electrons in a primitive,
    y = 2√2 c / N_l(α) ("pop" scaling of the reference code), not by statistics. Charge is not conserved.
    The published edge harmonics end at l = 3, from which scalar features cannot reach l = 4: the default here is the
    largest l of the basis.

    Parameters
    ----------
    widths: multiplicity of l = 0, 1, …; ``None`` for the equal-feature series of :data:`WIDTHS` at ``lmax``.
    layers: gated convolutions before the last one.
    cutoff: Å. radial: Gaussian radial functions. neurons: of the radial network's hidden layer.
    neighbours: normalisation of the convolutions.
    edge_lmax: largest l of the edge harmonics, 3 as published; ``None`` for the largest l of the basis.

    Raises
    ------
    ModelError
        For an ``lmax`` without published width.
    """

    elements: list[ElementScaling]
    sizes: Tensor

    def __init__(
        self, basis: GaussianBasis, statistics: Statistics, lmax: int = 3, widths: list[int] | None = None,
        layers: int = 3, cutoff: float = 3.5, radial: int = 10, neurons: int = 128, neighbours: float = 12.2298,
        edge_lmax: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if widths is None and lmax not in WIDTHS:
            raise ModelError(
                f"no equal-feature width for lmax={lmax} (known: {', '.join(map(str, WIDTHS))}); give widths"
            )
        symbols = basis.symbols
        self.cutoff = cutoff
        self.columns = _columns(basis)
        self.network = Network(
            irreps_in=f"{len(symbols)}x0e",
            irreps_hidden=_both_parities(widths or WIDTHS[lmax]),
            irreps_out=self.output_irreps(basis),
            irreps_node_attr=None,
            irreps_edge_attr=Irreps.spherical_harmonics(max(3, basis.lmax) if edge_lmax is None else edge_lmax),
            layers=layers,
            max_radius=cutoff,
            number_of_basis=radial,
            radial_layers=1,
            radial_neurons=neurons,
            num_neighbors=neighbours,
            num_nodes=1.0,
            reduce_output=False,
        )
        self.elements = nn.ModuleList(_population_scaling(basis, symbol) for symbol in symbols)  # type: ignore[assignment]
        self.register_buffer("sizes", torch.tensor([basis.size(symbol) for symbol in symbols]))

    def output_irreps(self, basis: GaussianBasis) -> Irreps:
        """Irreps of the row of an atom."""
        return row_irreps(basis)

    def forward(self, graph: Graph) -> Tensor:
        dtype = next(self.parameters()).dtype
        data: dict[str, Any] = {
            "pos": graph.pos[:, E3NN_AXES].to(dtype),
            "x": nn.functional.one_hot(graph.species, len(self.sizes)).to(dtype),
            "batch": graph.batch if graph.batch is not None else torch.zeros_like(graph.species),
        }
        rows = self.network(data)
        per_element = [
            element(rows[graph.species == index][:, columns.to(rows.device)])
            for index, (element, columns) in enumerate(zip(self.elements, self.columns, strict=True))
        ]
        offsets = function_offsets(graph.species, self.sizes)
        return scatter_rows(per_element, graph.species, offsets, int(self.sizes[graph.species].sum()))

    def scales(self, graph: Graph) -> Tensor:
        """(F,) factor between output and coefficient."""
        return scales(self.elements, graph.species)


class InvariantNetwork(RackersNetwork):
    """The control of figure 1: the same network, but every output is declared a scalar. It is not equivariant."""

    def output_irreps(self, basis: GaussianBasis) -> Irreps:
        """As many scalars as there are components."""
        return Irreps(f"{row_irreps(basis).dim}x0e")


def row_irreps(basis: GaussianBasis) -> Irreps:
    """For every l the largest number of shells of any element, e.g. ``12x0e+5x1o+4x2e+2x3o+1x4e``."""
    most = [max(_count(basis, symbol, l) for symbol in basis.symbols) for l in range(basis.lmax + 1)]
    return Irreps([(mul, (l, (-1) ** l)) for l, mul in enumerate(most)])


def _columns(basis: GaussianBasis) -> list[Tensor]:
    """Per element, where its coefficients stand in a row."""
    slices = row_irreps(basis).slices()
    return [
        torch.cat([
            torch.arange(part.start, part.start + _count(basis, symbol, l) * (2 * l + 1))
            for l, part in enumerate(slices)
        ])
        for symbol in basis.symbols
    ]  # fmt: skip


def _count(basis: GaussianBasis, symbol: str, l: int) -> int:
    return sum(own == l for own, _ in basis.of(symbol))


def _both_parities(widths: tuple[int, ...] | list[int]) -> Irreps:
    return Irreps([(mul, Irrep(l, p)) for l, mul in enumerate(widths) for p in (1, -1)])


def _population_scaling(basis: GaussianBasis, symbol: str) -> ElementScaling:
    """C = y · N / (2√2) with the radial norm N_l(α) = √(2^l (2α)^(l+3/2) / (π^(3/2) (2l − 1)!!)) of FACTS.md §1.1."""
    factors = [_racah_norm(l, alpha) / math.sqrt(8) for l, alpha in basis.of(symbol) for _ in range(2 * l + 1)]
    scale = torch.tensor(factors, dtype=torch.float64)
    return ElementScaling(torch.zeros_like(scale), scale)


def _racah_norm(l: int, alpha: float) -> float:
    double_factorial = math.prod(range(2 * l - 1, 0, -2))
    return math.sqrt(2**l * (2 * alpha) ** (l + 1.5) / (math.pi**1.5 * double_factorial))
