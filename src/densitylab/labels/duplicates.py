"""Structures that are the same, or nearly, whatever their place, orientation, mirror image and order of atoms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

_TREE, _SUMMARY = 8, 256  # numbers of a structure in the search tree, and in the comparison of what it finds
_CHUNK = 100_000  # pairs at a time


def fingerprint_distances(atoms: Atoms) -> np.ndarray:
    """(A(A−1)/2,) distances in Å, sorted within each pair of elements: invariant, and continuous in the positions."""
    from scipy.spatial.distance import pdist

    first, second = np.triu_indices(len(atoms), 1)
    low, high = np.sort([atoms.numbers[first], atoms.numbers[second]], axis=0)
    distances = pdist(atoms.positions)
    return np.asarray(distances[np.lexsort((distances, high, low))])


def difference(first: Atoms, second: Atoms) -> float:
    """Root mean square difference of all distances in Å, atoms of one formula matched by their sorted distances."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    one, other = _surroundings(first), _surroundings(second)
    costs = cdist(one, other, "sqeuclidean") / max(1, len(first) - 1)
    costs[first.numbers[:, None] != second.numbers] = 1e12  # a finite number, as the solver wants
    rows, columns = linear_sum_assignment(costs)
    return float(np.sqrt(costs[rows, columns].mean()))


def near_duplicates(structures: Mapping[str, Atoms], threshold_angstrom: float) -> list[tuple[float, str, str]]:
    """Pairs of one formula whose :func:`difference` is below the threshold, closest first.

    Sorting all distances together, or averaging pieces of them, can only make two structures look more alike (Jensen's
    inequality), so a tree over eight such means finds every candidate: seconds for ten thousand structures.
    """
    formulas: dict[str, list[str]] = defaultdict(list)
    for key, atoms in structures.items():
        formulas[atoms.get_chemical_formula()].append(key)
    found = []
    for keys in formulas.values():
        for i, j in _candidates([structures[key] for key in keys], threshold_angstrom):
            distance = difference(structures[keys[i]], structures[keys[j]])
            if distance < threshold_angstrom:
                found.append((distance, keys[i], keys[j]))
    return sorted(found)


def leaks(structures: Mapping[str, Atoms], threshold_angstrom: float) -> list[tuple[float, str, str]]:
    """Near-duplicates that stand in different groups, and so might stand on two sides of a split."""
    group = {key: atoms.info["group"] for key, atoms in structures.items()}
    pairs = near_duplicates(structures, threshold_angstrom)
    return [pair for pair in pairs if group[pair[1]] != group[pair[2]]]


def _candidates(structures: list[Atoms], threshold_angstrom: float) -> np.ndarray:
    """(n, 2) indices of all pairs that may be closer than the threshold, and of few others."""
    from scipy.spatial import cKDTree

    fine, coarse = [], []
    for atoms in structures:
        distances = fingerprint_distances(atoms)
        fine.append(_means(distances, _SUMMARY))
        coarse.append(_means(distances, _TREE))
    summaries = np.array(fine)
    pairs = cKDTree(coarse).query_pairs(threshold_angstrom, output_type="ndarray")
    kept = [
        part[np.linalg.norm(summaries[part[:, 0]] - summaries[part[:, 1]], axis=1) < threshold_angstrom]
        for part in np.array_split(pairs, len(pairs) // _CHUNK + 1)
    ]
    return np.concatenate(kept)


def _means(distances: np.ndarray, number: int) -> np.ndarray:
    """(number,) means of pieces, so weighted that they differ by no more than the root mean square of the whole."""
    pieces = np.array_split(distances, number)
    weights = [np.sqrt(len(piece) / max(1, len(distances))) for piece in pieces]
    return np.array([w * piece.mean() if len(piece) else 0.0 for w, piece in zip(weights, pieces, strict=True)])


def _surroundings(atoms: Atoms) -> np.ndarray:
    """(A, A) distances of every atom to all, sorted within each element; its own, 0, is the first of its element."""
    return np.array([row[np.lexsort((row, atoms.numbers))] for row in atoms.get_all_distances()])
