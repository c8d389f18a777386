"""α-linked oligothiophenes H(C4H2S)nH with sampled torsions between the rings."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from densitylab.structures.bonds import bonds
from densitylab.structures.check import StructureError, within
from densitylab.structures.extras import extra
from densitylab.structures.smiles import embed, to_atoms
from densitylab.structures.thermal import thermal_set

LONGEST = 20
# |S-C-C-S| in degrees and how often: around the minima of 2,2'-bithiophene (anti-gauche, syn-gauche) and its barrier.
TORSIONS = {"anti": (140.0, 180.0, 0.5), "syn": (15.0, 50.0, 0.3), "twisted": (70.0, 110.0, 0.2)}
_ATTEMPTS = 100


def oligothiophene(
    sizes: list[int],
    numbers: list[int] | int,
    snapshots: int = 3,
    temperatures_K: list[float] | None = None,
    interval_fs: float = 50.0,
    equilibration_ps: float = 0.2,
    seed: int = 0,
) -> list[Atoms]:
    """``numbers[i]`` structures of the ``sizes[i]``-mer (or the same number of each): C4nH(2n+2)Sn.

    Every trajectory begins at torsions of its own, from where GFN2-xTB relaxes to the plane within half a picosecond:
    short equilibration and few snapshots keep twisted ones. Without ``temperatures_K`` the conformers themselves are
    returned. The other arguments are those of :func:`~densitylab.structures.thermal.thermal_set`; groups are called
    ``thiophene<n>-<T>K-<seed>``, and ``info["size"]`` is n.

    Raises
    ------
    StructureError
        n outside 1-20, as many numbers as there are not sizes, and what the dynamics refuses.
    """
    counts = [numbers] * len(sizes) if isinstance(numbers, int) else numbers
    if len(counts) != len(sizes):
        raise StructureError(f"numbers has {len(counts)} entries for {len(sizes)} sizes: one for each, or one for all")
    for size in sizes:
        within("the number of thiophene rings", size, 1, LONGEST)
    found = []
    for size, number in zip(sizes, counts, strict=True):
        made = thermal_set(
            lambda own, n=size: conformer(n, own),  # type: ignore[misc]
            f"thiophene{size}", number, snapshots, temperatures_K, interval_fs, equilibration_ps, seed,
        )  # fmt: skip
        for atoms in made:
            atoms.info["size"] = size
        found += made
    return found


def conformer(n: int, seed: int) -> Atoms:
    """The n-mer in Å, rings relaxed with MMFF94, every torsion drawn from ``TORSIONS``; no two atoms overlap."""
    molecule = embed(chain(n), seed)
    turn = extra("rdkit.Chem.rdMolTransforms", "molecules").SetDihedralDeg
    rng, number = np.random.default_rng(seed), None
    for _ in range(_ATTEMPTS):
        for atoms in torsions(molecule):
            turn(molecule.GetConformer(), *atoms, _draw(rng))
        found = to_atoms(molecule, chain(n))
        number = len(bonds(found))
        if number == molecule.GetNumBonds():  # else the chain has run into itself
            return found
    raise StructureError(f"no conformer of {n} rings without overlaps in {_ATTEMPTS} attempts ({number} bonds)")


def chain(n: int) -> str:
    """SMILES of the n-mer, linked through the carbons next to sulfur."""
    return "c1ccsc1" if n == 1 else "c1ccsc1" + "-c1ccc(s1)" * (n - 2) + "-c1cccs1"


def torsions(molecule: Any) -> list[tuple[int, int, int, int]]:
    """Indices S-C-C-S of every bond between rings, along the chain."""
    pattern = extra("rdkit.Chem", "molecules").MolFromSmarts("s:c-c:s")
    return list(molecule.GetSubstructMatches(pattern))


def _draw(rng: np.random.Generator) -> float:
    """A torsion in degrees."""
    kinds = list(TORSIONS.values())
    low, high, _ = kinds[rng.choice(len(kinds), p=[weight for *_, weight in kinds])]
    return float(rng.choice([-1, 1]) * rng.uniform(low, high))
