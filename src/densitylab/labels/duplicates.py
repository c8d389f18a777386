"""Structures that are the same, or nearly, whatever their place, orientation, mirror image and order of atoms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

_SUMMARY = 8  # numbers of a structure in the search tree


def fingerprint_distances(atoms: Atoms) -> np.ndarray:
    """(A(A−1)/2,) distances in Å, sorted within each pair of elements: invariant, and continuous in the positions."""
    from scipy.spatial.distance import pdist

    first, second = np.triu_indices(len(atoms), 1)
    low, high = np.sort([atoms.numbers[first], atoms.numbers[second]], axis=0)
    distances = pdist(atoms.positions)
    return np.asarray(distances[np.lexsort((distances, high, low))])


def near_duplicates(structures: Mapping[str, Atoms], threshold_angstrom: float) -> list[tuple[float, str, str]]:
    """Pairs of one formula whose sorted distances differ by less than the threshold (root mean square), closest first.

    Means over pieces of the sorted distances differ at most as much (Jensen's inequality), so a tree over eight of them
    finds every candidate: seconds for ten thousand structures.
    """
    from scipy.spatial import cKDTree

    formulas: dict[Any, list[str]] = defaultdict(list)
    for key, atoms in structures.items():
        formulas[atoms.get_chemical_formula()].append(key)
    found = []
    for keys in formulas.values():
        tree = cKDTree([_summary(fingerprint_distances(structures[key])) for key in keys])
        for i, j in tree.query_pairs(threshold_angstrom):
            first, second = (fingerprint_distances(structures[keys[index]]) for index in (i, j))
            distance = float(np.sqrt(np.mean((first - second) ** 2))) if len(first) else 0.0
            if distance < threshold_angstrom:
                found.append((distance, keys[i], keys[j]))
    return sorted(found)


def leaks(structures: Mapping[str, Atoms], threshold_angstrom: float) -> list[tuple[float, str, str]]:
    """Near-duplicates that stand in different groups, and so might stand on two sides of a split."""
    group = {key: atoms.info["group"] for key, atoms in structures.items()}
    pairs = near_duplicates(structures, threshold_angstrom)
    return [pair for pair in pairs if group[pair[1]] != group[pair[2]]]


def _summary(distances: np.ndarray) -> np.ndarray:
    """(8,) means of pieces, weighted so that their Euclidean distance is at most the root mean square difference."""
    pieces = np.array_split(distances, _SUMMARY)
    weights = [np.sqrt(len(piece) / max(1, len(distances))) for piece in pieces]
    return np.array([w * piece.mean() if len(piece) else 0.0 for w, piece in zip(weights, pieces, strict=True)])
