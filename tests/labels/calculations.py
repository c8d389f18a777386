"""Small calculations that several test files share: each is made once per session, and none takes ten seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from ase import Atoms

from densitylab.density import Prior
from densitylab.labels import Calculation, Level, calculate
from densitylab.structures import prepare

MINIMAL = Level("HF", "sto-3g", density_fit=False)
SMALL = Level("PBE0", "def2-SVP", grid_level=1)

# No symmetry and no atom at the origin: nothing vanishes or coincides by luck. Å.
WATER = [("O", (0.11, -0.23, 0.31)), ("H", (0.98, -0.35, 0.62)), ("H", (-0.21, 0.67, 0.48))]
NEIGHBOUR = [("O", (2.75, 0.12, 0.95)), ("H", (3.31, -0.62, 1.19)), ("H", (3.22, 0.72, 0.37))]
GEOMETRIES = {
    "H2": ([("H", (0.1, 0.2, -0.3)), ("H", (0.4, 0.6, 0.25))], 0, 1),
    "LiH": ([("Li", (0.1, 0.2, -0.3)), ("H", (1.0, 1.2, 0.6))], 0, 1),
    "water": (WATER, 0, 1),
    "dimer": (WATER + NEIGHBOUR, 0, 1),
    "OH-": ([("O", (0.11, -0.23, 0.31)), ("H", (0.98, -0.35, 0.62))], -1, 1),
    "H3O+": ([*WATER, ("H", (-0.25, -0.75, -0.45))], 1, 1),
    "OH": ([("O", (0.11, -0.23, 0.31)), ("H", (0.98, -0.35, 0.62))], 0, 2),
}

# Made up, but of the size of real atoms: H holds 1 electron, O holds 8. (exponent, electrons in that s-function)
_TERMS = {"H": [(0.4, 0.7), (1.9, 0.3)], "O": [(0.3, 3.0), (1.1, 3.0), (25.0, 2.0)]}


def structure(name: str) -> Atoms:
    geometry, charge, multiplicity = GEOMETRIES[name]
    symbols, positions = zip(*geometry, strict=True)
    return prepare(Atoms(symbols, positions=positions), charge=charge, multiplicity=multiplicity)


def translated_copies(atoms: Atoms, shifts_angstrom: list[tuple[float, float, float]]) -> Atoms:
    """Several copies of a molecule, the second of them turned by a right angle, and so on."""
    cluster = Atoms()
    for turn, shift in enumerate(shifts_angstrom):
        copy = Atoms(atoms.symbols, positions=atoms.positions)
        copy.rotate(90 * turn, "z", center="COM")
        copy.translate(shift)
        cluster += copy
    return prepare(cluster)


@cache
def calculation(name: str, level: Level = MINIMAL) -> Calculation:
    return calculate(structure(name), level)


def toy_prior() -> Prior:
    """Two or three s-functions per atom: a real prior in shape, and it costs nothing."""

    def coefficient(exponent: float, electrons: float) -> float:
        return electrons * (2 * exponent / np.pi) ** -0.75 * (exponent / np.pi) ** 1.5  # L2 norm, then charge

    atoms = {symbol: tuple((a, coefficient(a, q)) for a, q in terms) for symbol, terms in _TERMS.items()}
    return Prior("toy", atoms)


def random_rotation(seed: int) -> np.ndarray:
    """A proper rotation matrix."""
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    return matrix * np.linalg.det(matrix)


@contextmanager
def single_thread() -> Iterator[None]:
    """On a busy machine two OpenMP runtimes that spin for each other's cores make small work thirty times slower."""
    from pyscf import lib

    before = torch.get_num_threads(), lib.num_threads()
    torch.set_num_threads(1)
    lib.num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        lib.num_threads(before[1])
