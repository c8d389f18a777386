"""Every field of a graph or a store, declared once: shape, unit, meaning. And how content is fingerprinted.

Shapes: A atoms, E directed edges, F density functions (Σ over atoms and shells of 2l + 1), G graphs of a batch,
AO orbital functions, N occupied orbitals.
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
    "overlap": Field("F*F", "1", "overlap matrix of the density functions, row-major, flattened"),
    "num_functions": Field("G", "1", "F of every graph"),
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
