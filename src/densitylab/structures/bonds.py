"""Which atoms belong together, judged by their distances alone."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

# In sums of covalent radii. Thermal vibrations stay below (O-H: 1.26 Å), hydrogen bonds above (1.4 Å and more).
LONGEST_BOND = 1.3


def bonds(atoms: Atoms) -> np.ndarray:
    """(B, 2) indices of covalently bonded atoms, the smaller first: pairs within 1.3 times the sum of their radii.

    Radii: Cordero et al., Dalton Trans. 2832 (2008), as ASE has them. Memory grows linearly with the atoms.
    """
    from scipy.spatial import cKDTree

    if len(atoms) == 0:
        return np.empty((0, 2), int)
    radii = LONGEST_BOND * covalent_radii[atoms.numbers]
    pairs = cKDTree(atoms.positions).query_pairs(2 * radii.max(), output_type="ndarray")
    distances = np.linalg.norm(atoms.positions[pairs[:, 0]] - atoms.positions[pairs[:, 1]], axis=1)
    bonded: np.ndarray = pairs[distances < radii[pairs].sum(axis=1)]
    return bonded


def molecules(atoms: Atoms) -> np.ndarray:
    """(A,) number of the molecule of every atom, counted in the order in which they first appear."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = bonds(atoms).T
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms)))
    numbers: np.ndarray = connected_components(graph, directed=False)[1]
    return numbers
