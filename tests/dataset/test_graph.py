import numpy as np
import pytest
import torch
from ase import Atoms
from torch_geometric.data import Batch

from densitylab.dataset import graph_from_atoms, graph_from_label
from densitylab.dataset.graph import neighbours
from densitylab.density.basis import BasisError
from densitylab.keys import GRAPH
from densitylab.structures import prepare


def scattered(number=40, seed=0):
    rng = np.random.default_rng(seed)
    return Atoms("H" * number, positions=rng.uniform(0, 8, (number, 3)))


def test_neighbours_equal_brute_force_and_are_sorted_by_target():
    atoms, cutoff = scattered(), 3.0
    distance = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1)
    expected = {(j, i) for i, j in zip(*np.nonzero((distance < cutoff) & (distance > 0)), strict=True)}
    edges = neighbours(atoms, cutoff)
    assert {(int(j), int(i)) for j, i in edges.T} == expected
    assert edges.shape[1] == len(expected)
    assert (edges[1].diff() >= 0).all()


def test_graph_has_the_declared_fields(source):
    label = source.load(next(iter(source.infos())))
    made = [graph_from_label(label, ["H", "O"], 4.0, metric) for metric in ("coefficient", "overlap", "grid")]
    assert set().union(*(graph.keys() for graph in made)) - {"num_nodes"} == set(GRAPH)
    graph = made[1]
    assert graph.gram.dtype == graph.coefficients.dtype == torch.float64
    assert len(graph.gram) == int(graph.num_functions) ** 2 == len(graph.coefficients) ** 2


def test_batching_shifts_edges_only(source):
    keys = list(source.infos())[:3]
    graphs = [graph_from_label(source.load(key), ["H", "O"], cutoff=4.0) for key in keys]
    batch = Batch.from_data_list(graphs)
    assert batch.edge_index.max() == 8
    assert batch.species.tolist() == [1, 0, 0] * 3
    assert batch.multiplicity.tolist() == [1, 1, 1]
    assert torch.equal(batch.coefficients, torch.cat([graph.coefficients for graph in graphs]))


def test_unknown_element_is_named():
    with pytest.raises(BasisError, match=r"does not know Si \(it knows H, O\)"):
        graph_from_atoms(prepare(Atoms("Si", positions=[[0, 0, 0]])), ["H", "O"], 4.0)
