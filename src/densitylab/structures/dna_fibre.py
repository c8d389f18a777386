"""Ideal B-DNA from the fibre diffraction model of Arnott and Hukins."""

from __future__ import annotations

from typing import Any

import numpy as np

from densitylab.structures.check import StructureError

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
RISE_ANGSTROM = 3.38
TWIST_DEGREES = 36.0

# Radius (Å), angle (degrees), height (Å) of the heavy atoms of one nucleotide, helix axis along z, dyad axis along x.
# S. Arnott and D. W. L. Hukins, Biochem. Biophys. Res. Commun. 47, 1504 (1972), in today's names (their O1' is O4').
# The strand runs down, 5' to 3': the O3' of the paper's repeating unit belongs to the nucleotide above, and is here
# turned back by one twist and one rise.
_BACKBONE = """
P   8.91 95.2 2.08   OP1 10.20 91.1 1.86   OP2 8.82 103.3 1.29   O5' 7.73 88.0 1.83   C5' 7.70 79.8 2.77
C4' 7.59 69.9 2.04   O4' 6.22 66.0 1.83    C3' 8.20 69.9 0.64    O3' 8.75 61.4 0.25   C2' 7.04 73.2 -0.24
C1' 5.86 67.4 0.47
"""
_BASES = {
    "A": """
N9 4.63 76.6 0.42    C8 4.84 93.0 0.50   N7 3.95 105.4 0.43   C5 2.74 94.0 0.28   C6 1.41 107.2 0.15
N6 1.83 154.0 0.14   N1 0.86 40.1 0.03   C2 2.17 30.6 0.04    N3 3.24 47.0 0.16   C4 3.33 70.5 0.28
""",
    "G": """
N9 4.63 76.6 0.42    C8 4.82 93.2 0.50   N7 3.92 105.7 0.42   C5 2.70 94.0 0.28   C6 1.39 109.3 0.15
O6 1.71 154.6 0.13   N1 0.92 37.9 0.03   C2 2.28 28.7 0.03    N2 3.01 4.2 -0.10   N3 3.29 46.7 0.16
C4 3.33 70.3 0.28
""",
    "C": """
N1 4.63 76.6 0.42    C2 3.40 67.4 0.27   O2 3.69 47.9 0.18    N3 2.31 83.9 0.22   C4 2.94 110.0 0.32
N4 2.76 136.6 0.27   C5 4.35 107.0 0.47  C6 4.99 92.2 0.52
""",
    "T": """
N1 4.63 76.6 0.42    C2 3.42 67.3 0.27   O2 3.64 47.8 0.18    N3 2.36 85.2 0.23   C4 2.98 111.9 0.32
O4 2.82 136.3 0.27   C5 4.38 106.9 0.47  C7 5.40 119.8 0.58   C6 5.01 92.3 0.52
""",
}


def check_sequence(sequence: str) -> str:
    """The sequence in capitals, 5' to 3'.

    Raises
    ------
    StructureError
        It is empty, or holds a letter that is not A, C, G or T: named with its position, counted from 1.
    """
    if not sequence:
        raise StructureError("the sequence is empty; it needs at least one of the letters A, C, G, T")
    for position, letter in enumerate(sequence.upper(), start=1):
        if letter not in COMPLEMENT:
            raise StructureError(f"letter {sequence[position - 1]!r} at position {position} is not one of A, C, G, T")
    return sequence.upper()


def partner(sequence: str) -> str:
    """The other strand, 5' to 3'."""
    return "".join(COMPLEMENT[letter] for letter in reversed(sequence))


def fibre(sequence: str) -> tuple[Any, np.ndarray]:
    """Heavy atoms of the duplex: OpenMM topology with bonds, chains A (the sequence) and B, and (A, 3) positions in Å.

    A turn of 36° and a rise of 3.38 Å per base pair, 5'-OH ends; strand B is strand A turned about the dyad axis.
    """
    from openmm import app

    topology, rows = app.Topology(), []
    for chain_id, strand in (("A", sequence), ("B", partner(sequence))):
        chain = topology.addChain(chain_id)
        for place, letter in enumerate(strand):
            residue = topology.addResidue(f"D{letter}", chain, str(place + 1))
            for name, cylindrical in _nucleotide(letter, first=place == 0):
                topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
                rows.append(_placed(cylindrical, place, len(sequence), chain_id == "B"))
    topology.createStandardBonds()
    return topology, np.array(rows)


def _nucleotide(letter: str, first: bool) -> list[tuple[str, np.ndarray]]:
    """Names and (radius, angle, height); the first nucleotide of a strand has no phosphate."""
    words = (_BACKBONE + _BASES[letter]).split()
    atoms = [(words[i], np.array(words[i + 1 : i + 4], float)) for i in range(0, len(words), 4)]
    return atoms[3:] if first else atoms


def _placed(cylindrical: np.ndarray, place: int, length: int, other: bool) -> np.ndarray:
    """(3,) in Å. Strand A runs down the axis; strand B is its mirror image in angle and height, hence rotated."""
    radius, degrees, height = cylindrical
    level = -place if not other else place - (length - 1)  # of the base pair
    sign = -1 if other else 1
    angle = np.radians(sign * degrees + TWIST_DEGREES * level)
    return np.array([radius * np.cos(angle), radius * np.sin(angle), sign * height + RISE_ANGSTROM * level])
