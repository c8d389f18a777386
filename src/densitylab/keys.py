"""Every field of a graph or a store, declared once: shape, unit, meaning. And how content is fingerprinted.

Shapes: A atoms, E directed edges, F density functions (Σ over atoms and shells of 2l + 1), G graphs of a batch,
S shells, P grid points, AO orbital functions, N occupied orbitals.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """One array: its ``shape`` in the letters above, ``unit``, ``irreps`` per row where it rotates, ``meaning``."""

    shape: str
    unit: str
    meaning: str
    irreps: str = ""


GRAPH = {
    "pos": Field("A 3", "Å", "positions", "1o"),
    "species": Field("A", "1", "index into the model's elements"),
    "edge_index": Field("2 E", "1", "source, target of every directed edge within the cutoff"),
    "edge_shift": Field("E 3", "1", "lattice translations of the source; zero until periodic input is supported"),
    "charge": Field("G", "e", "total charge"),
    "multiplicity": Field("G", "1", "2S + 1"),
    "coefficients": Field("F", "e^1 bohr^-1.5", "of Δρ, atom by atom, l ascending, m = -l..+l", "per element"),
    "trusted": Field("F", "1", "0 where an imported label is not known, else 1"),
    "num_functions": Field("G", "1", "F of every graph"),
    # What the metric of the loss needs (dataset/metric.py):
    "gram": Field("F*F", "1 or hartree/e^2", "overlap or Coulomb matrix of the density functions, row-major, flat"),
    "grid_points": Field("P 3", "bohr", "of the atom-centred grid", "1o"),
    "grid_weights": Field("P", "bohr^3", "of its points"),
    "num_points": Field("G", "1", "P of every graph"),
    "shell_centers": Field("S 3", "bohr", "of the density functions", "1o"),
    "shell_exponents": Field("S", "bohr^-2", "of the density functions"),
    "shell_l": Field("S", "1", "of the density functions"),
    "num_shells": Field("G", "1", "S of every graph"),
}

CALCULATION = {
    "numbers": Field("A", "1", "atomic numbers"),
    "positions": Field("A 3", "Å", "positions", "1o"),
    "energy": Field("", "hartree", "total energy"),
    "forces": Field("A 3", "hartree/bohr", "-dE/dR", "1o"),
    "dipole": Field("3", "e*bohr", "about the origin of the coordinates", "1o"),
    "orbitals": Field("AO N", "bohr^-1.5", "occupied orbitals in PySCF's order; alpha, then beta if open shell"),
    "occupations": Field("N", "e", "of these orbitals"),
}

FIT = {"coefficients": GRAPH["coefficients"]}

PRIOR = {
    "exponents": Field("S", "bohr^-2", "of s-functions"),
    "coefficients": Field("S", "e^1 bohr^-1.5", "of L2-normalised s-functions; they hold Z electrons"),
}

STORE = {"calculation": CALCULATION, "fit": FIT, "prior": PRIOR}


def fingerprint(content: Any) -> str:
    """20 hexadecimal digits that identify JSON-like content, whatever the order of its dictionaries."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
