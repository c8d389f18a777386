import numpy as np
import pytest

from densitylab.structures import StructureError, electrons
from densitylab.structures.bonds import bonds
from densitylab.structures.smiles import embed
from densitylab.structures.thiophene import TORSIONS, chain, conformer, oligothiophene, torsions


@pytest.mark.parametrize("n", range(1, 21))
def test_formula_and_linkage(n):
    """C4nH(2n+2)Sn; both carbons of a bond between rings are next to a sulfur (α)."""
    from rdkit import Chem
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    molecule = Chem.MolFromSmiles(chain(n))
    assert CalcMolFormula(molecule) == f"C{4 * n}H{2 * n + 2}S{n}".replace("S1", "S" if n == 1 else "S1")
    assert len(torsions(molecule)) == len(molecule.GetSubstructMatches(Chem.MolFromSmarts("c-c"))) == n - 1
    assert len(molecule.GetSubstructMatches(Chem.MolFromSmarts("c1cccs1"))) == n


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_conformer_has_no_overlaps(n):
    atoms = conformer(n, seed=n)
    assert len(atoms) == 7 * n + 2
    assert electrons(atoms) == 42 * n + 2  # 4·6 + 2 + 16 per ring, and two hydrogens
    assert len(bonds(atoms)) == 8 * n + 1  # 5 + 2 per ring, n − 1 between them, and two hydrogens at the ends


def angles(n: int, seed: int) -> np.ndarray:
    indices = torsions(embed(chain(n), seed))
    found = [conformer(n, seed).get_dihedral(*atoms) for atoms in indices]
    return np.abs((np.array(found) + 180) % 360 - 180)


def test_torsions_are_those_drawn():
    """Each lies in one of the ranges; over sixty of them all kinds occur, the common ones more often."""
    found = np.concatenate([angles(6, seed) for seed in range(12)])
    counts = {
        kind: int(((low - 0.1 < found) & (found < high + 0.1)).sum()) for kind, (low, high, _) in TORSIONS.items()
    }
    assert sum(counts.values()) == len(found) == 60
    # expected 30, 18, 12; the binomial σ is 4 at most
    assert counts["anti"] > counts["twisted"] >= 3
    assert counts["syn"] >= 6


def test_seeded():
    assert np.array_equal(conformer(4, 1).positions, conformer(4, 1).positions)
    assert np.abs(angles(4, 1) - angles(4, 2)).max() > 5


def test_thermal_snapshots():
    quick = {"interval_fs": 2.0, "equilibration_ps": 0.004, "temperatures_K": [300.0, 500.0]}
    found = oligothiophene([1, 2], [3, 1], snapshots=2, seed=4, **quick)
    assert [atoms.info["group"] for atoms in found] == [
        *["thiophene1-300K-4"] * 2,
        "thiophene1-500K-5",
        "thiophene2-300K-4",
    ]
    assert [atoms.info["size"] for atoms in found] == [1, 1, 1, 2]
    assert [atoms.get_chemical_formula() for atoms in found] == [*["C4H4S"] * 3, "C8H6S2"]


def test_one_number_for_all_sizes():
    found = oligothiophene([2, 3], 2)
    assert [atoms.info["group"] for atoms in found] == ["thiophene2-0", "thiophene2-1", "thiophene3-0", "thiophene3-1"]


@pytest.mark.parametrize(
    ("sizes", "numbers", "sentence"),
    [
        ([0], 1, "the number of thiophene rings must be between 1 and 20, not 0"),
        ([2, 21], 1, "the number of thiophene rings must be between 1 and 20, not 21"),
        ([12], [25, 25, 25, 8], "numbers has 4 entries for 1 sizes"),
        ([2], 0, "number must be between 1"),
        ([1], 2, "thiophene1 has no 2 different conformers"),
    ],
)
def test_mistakes(sizes, numbers, sentence):
    with pytest.raises(StructureError, match=sentence):
        oligothiophene(sizes, numbers)
