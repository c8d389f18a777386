"""What the tests compare with: PySCF, set up the ordinary way, with its order of functions written out by hand."""

from typing import Any

import numpy as np
import torch
from e3nn.o3 import Irreps
from numpy.typing import ArrayLike
from pyscf import gto

from densitylab.density import Density, Nuclei, Shells

ALL = [3, 0, 6, 1, 1, 4, 0, 2, 5, 0, 2, 1]  # every l up to 6, in no order

# gradcheck compares with central differences of step 1e-6 in double precision: they are good to about 1e-8 here, and
# its own tolerances (1e-5 absolute, 1e-3 relative) are tightened to what still leaves a margin of ten.
CHECK = {"eps": 1e-6, "atol": 1e-7, "rtol": 1e-6}

FLAT = 1e-14  # exponent of a function that is constant to 1e-13 within 3 bohr


def pyscf_mole(centers: ArrayLike, exponents: ArrayLike, ls: ArrayLike) -> Any:
    """An ordinary ``Mole``: one hydrogen atom with one explicit shell at every centre (bohr)."""
    shells = list(zip(np.asarray(exponents), np.asarray(ls), strict=True))
    return gto.M(
        atom=[(f"H{k}", center) for k, center in enumerate(np.asarray(centers))],
        basis={f"H{k}": [[int(l), [float(a), 1.0]]] for k, (a, l) in enumerate(shells)},
        unit="Bohr",
        spin=None,
        verbose=0,
    )


def to_standard(ls: ArrayLike) -> np.ndarray:
    """Index array from PySCF's order: p stands as x, y, z there and as y, z, x (m = -1, 0, 1) here."""
    index, start = [], 0
    for l in np.asarray(ls):
        index += [start + k for k in ([1, 2, 0] if l == 1 else range(2 * l + 1))]
        start += 2 * l + 1
    return np.array(index)


def random_shells(seed: int, ls: list[int], smallest: float = 0.1, largest: float = 50.0) -> Shells:
    """Shells of the given degrees at random centres within 2 bohr of the origin; some centres hold several shells."""
    rng = np.random.default_rng(seed)
    sites = rng.uniform(-2, 2, size=(max(1, len(ls) - len(ls) // 3), 3))
    centers = np.concatenate([sites, sites])[: len(ls)]
    exponents = np.exp(rng.uniform(np.log(smallest), np.log(largest), size=len(ls)))
    return Shells(torch.as_tensor(centers), torch.as_tensor(exponents), torch.tensor(ls))


def as_pyscf(shells: Shells) -> Any:
    return pyscf_mole(shells.centers.numpy(), shells.exponents.numpy(), shells.l.numpy())


def random_density(seed: int, ls: list[int]) -> Density:
    shells = random_shells(seed, ls)
    rng = np.random.default_rng(seed + 1000)
    nuclei = Nuclei(torch.as_tensor(rng.uniform(-2, 2, size=(3, 3))), torch.tensor([8.0, 1.0, 1.0], dtype=torch.double))
    return Density(shells.centers, shells.exponents, shells.l, torch.as_tensor(rng.normal(size=shells.size)), nuclei)


def e3nn_matrix(irreps: Irreps, rotation: np.ndarray) -> torch.Tensor:
    """D(R) of e3nn for a Cartesian matrix R: e3nn calls our (y, z, x) its (x, y, z).

    e3nn 0.6 builds its generators in torch's default dtype: whatever the dtype of R, D is good to 1e-6 only unless
    the default is float64.
    """
    order = [1, 2, 0]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return irreps.D_from_matrix(torch.as_tensor(rotation[np.ix_(order, order)].copy()))
    finally:
        torch.set_default_dtype(before)


def random_points(seed: int, number: int = 200) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).uniform(-3, 3, size=(number, 3)))


def relative(found: ArrayLike, expected: ArrayLike) -> float:
    """Largest deviation in units of the largest expected number."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def tiny(ls=(0, 1, 2), seed=5):
    rng = np.random.default_rng(seed)
    arrays = rng.uniform(-1, 1, (len(ls), 3)), rng.uniform(0.5, 2, len(ls)), rng.normal(size=sum(2 * l + 1 for l in ls))
    return [torch.as_tensor(array).requires_grad_() for array in arrays], torch.tensor(ls)
