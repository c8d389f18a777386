"""Graphs: a structure as nodes and directed edges, with its labels. Fields are declared in ``keys.GRAPH``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch_geometric.data import Data

from densitylab.dataset.metric import Metric, equip
from densitylab.density.basis import BasisError
from densitylab.structures import check

if TYPE_CHECKING:
    from ase import Atoms

    from densitylab.labels.records import Label


class Graph(Data):
    """``torch_geometric`` data; edges run from source to target and are sorted by target, then source."""

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Only ``edge_index`` counts atoms; ``multiplicity``, ``species`` … must not be shifted in a batch."""
        return self.num_nodes if key == "edge_index" else 0


def graph_from_atoms(atoms: Atoms, symbols: list[str], cutoff: float) -> Graph:
    """Graph of a structure for a model that knows ``symbols``; ``cutoff`` in Å.

    Raises
    ------
    StructureError
        If the structure is not one.
    BasisError
        If it has an element that is not among ``symbols``.
    """
    check(atoms)
    unknown = sorted(set(atoms.symbols) - set(symbols))
    if unknown:
        raise BasisError(f"the model does not know {', '.join(unknown)} (it knows {', '.join(symbols)})")
    edge_index = neighbours(atoms, cutoff)
    return Graph(
        pos=torch.as_tensor(atoms.positions, dtype=torch.float64),
        species=torch.tensor([symbols.index(symbol) for symbol in atoms.symbols]),
        edge_index=edge_index,
        edge_shift=torch.zeros(edge_index.shape[1], 3, dtype=torch.float64),
        charge=torch.tensor([atoms.info["charge"]]),
        multiplicity=torch.tensor([atoms.info["multiplicity"]]),
        num_nodes=len(atoms),
    )


def graph_from_label(label: Label, symbols: list[str], cutoff: float, metric: Metric | None = "overlap") -> Graph:
    """Graph with the coefficients of Δρ, (F,) float64, and what the metric of the loss needs, if it is to be learnt."""
    atoms = label.calculation.atoms
    graph = graph_from_atoms(atoms, symbols, cutoff)
    graph.coefficients = torch.as_tensor(label.fit.coefficients)
    graph.trusted = torch.as_tensor(label.trusted())
    graph.num_functions = torch.tensor([len(graph.coefficients)])
    equip(graph, atoms, label.basis.shells(atoms), metric)
    return graph


def neighbours(atoms: Atoms, cutoff: float) -> torch.Tensor:
    """(2, E) source and target of every pair closer than ``cutoff`` Å, both directions, sorted by target."""
    from vesin import NeighborList

    calculator = NeighborList(cutoff=cutoff, full_list=True)
    target, source = calculator.compute(atoms.positions, np.zeros((3, 3)), periodic=False, quantities="ij")
    order = np.lexsort((source, target))
    return torch.as_tensor(np.stack([source[order], target[order]]).astype(np.int64))
