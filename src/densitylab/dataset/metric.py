"""In which metric an error Δc of density coefficients counts, and what a graph has to carry for it.

| metric | error of a structure | unit |
|---|---|---|
| coefficient | Σ Δc² | e²/bohr³ |
| overlap | ΔcᵀSΔc = ∫Δρ² dr | e²/bohr³ |
| coulomb | ΔcᵀJΔc = ∬Δρ(r)Δρ(r')/∣r − r'∣ dr dr' | hartree |
| grid | ∫∣Δρ∣ dr on an atom-centred grid, which is ε | e |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from densitylab.density import Shells
from densitylab.density.at_points import evaluate
from densitylab.density.grid import atom_centered
from densitylab.density.integrals import coulomb, overlap

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.dataset.graph import Graph

Metric = Literal["coefficient", "overlap", "coulomb", "grid"]

_GRID_LEVEL = 0  # some 3000 points per atom: ∫|Δρ| to a few per cent, which is enough to learn from


def equip(graph: Graph, atoms: Atoms, shells: Shells, metric: Metric | None) -> None:
    """Give a graph what the metric needs (see ``keys.GRAPH``)."""
    if metric in ("overlap", "coulomb"):
        graph.gram = (overlap if metric == "overlap" else coulomb)(shells).flatten()
    if metric == "grid":
        grid = atom_centered(atoms, _GRID_LEVEL)
        graph.grid_points, graph.grid_weights = grid.points, grid.weights
        graph.shell_centers, graph.shell_exponents, graph.shell_l = shells.centers, shells.exponents, shells.l
        graph.num_points, graph.num_shells = torch.tensor([len(grid.points)]), torch.tensor([len(shells.l)])


def errors(difference: Tensor, batch: Graph, metric: Metric, points: int | None = None, seed: int = 0) -> Tensor:
    """(G,) error of every structure of a batch from Δc (F,), in the unit of the metric.

    For ``grid``, ``points`` random points of every structure (all of them if ``None``), chosen by ``seed`` alone, so
    that neither a resumed nor a distributed run sees others.
    """
    parts = difference.split(batch.num_functions.tolist())
    if metric == "coefficient":
        return torch.stack([part.square().sum() for part in parts])
    if metric == "grid":
        return _absolute(parts, batch, points, seed)
    grams = batch.gram.split([len(part) ** 2 for part in parts])
    return torch.stack([d @ (g.view(len(d), len(d)) @ d) for d, g in zip(parts, grams, strict=True)])


def _absolute(parts: tuple[Tensor, ...], batch: Graph, points: int | None, seed: int) -> Tensor:
    """∫|Δρ| of every structure."""
    places, counts = batch.num_points.tolist(), batch.num_shells.tolist()
    grids = zip(batch.grid_points.split(places), batch.grid_weights.split(places), strict=True)
    centers, exponents, l = (
        getattr(batch, f"shell_{name}").split(counts) for name in ("centers", "exponents", "l")
    )  # fmt: skip
    found = []
    for index, (where, weights) in enumerate(grids):
        chosen = _sample(len(where), points, seed).to(where.device)
        values = evaluate(Shells(centers[index], exponents[index], l[index]), parts[index], where[chosen])
        found.append(weights[chosen] @ values.abs() * (len(where) / len(chosen)))
    return torch.stack(found)


def _sample(size: int, number: int | None, seed: int) -> Tensor:
    if number is None or number >= size:
        return torch.arange(size)
    return torch.randint(size, (number,), generator=torch.Generator().manual_seed(seed))
