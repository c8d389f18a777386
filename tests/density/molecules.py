"""Random molecules for tests of observables, and the arithmetic they are compared with, written out by hand."""

from itertools import permutations

import numpy as np
import torch
from ase.data import atomic_numbers
from pyscf import gto

from densitylab.density import Density, Nuclei
from densitylab.units import ANGSTROM_TO_BOHR
from tests.density.reference import as_pyscf, to_standard

ELEMENTS = ["H", "C", "N", "O", "F", "P", "S", "Cl"]


def random_positions(rng: np.random.Generator, number: int, half: float = 3.5) -> np.ndarray:
    """Points in a box of ``2 half`` bohr, every two of them at least 1 Å apart."""
    found: list[np.ndarray] = []
    while len(found) < number:
        new = rng.uniform(-half, half, 3)
        if all(np.linalg.norm(new - old) >= ANGSTROM_TO_BOHR for old in found):
            found.append(new)
    return np.array(found)


def random_molecule(seed: int, elements: list[str] = ELEMENTS, degrees: int = 6, neutral: bool = False) -> Density:
    """One atom of every element with two s-shells of about its charge, and two shells of any l < degrees.

    ``neutral``: the first function of all holds what is missing, so that the charge is zero.
    """
    rng = np.random.default_rng(seed)
    z = rng.permutation([atomic_numbers[e] for e in elements]).astype(float)
    positions = random_positions(rng, len(z))
    l = np.array([[0, 0, k % degrees, rng.integers(degrees)] for k in range(len(z))]).ravel()
    exponents = np.exp(rng.uniform(np.log(0.2), np.log(20), len(l)))
    sizes = np.where(l == 0, 1 + 0.3 * np.repeat(z, 4), 1)
    coefficients = [size * rng.normal(size=2 * n + 1) for n, size in zip(l, sizes, strict=True)]
    density = Density(
        torch.as_tensor(np.repeat(positions, 4, axis=0)),
        torch.as_tensor(exponents),
        torch.as_tensor(l),
        torch.as_tensor(np.concatenate(coefficients)),
        Nuclei(torch.as_tensor(positions), torch.as_tensor(z)),
    )
    if neutral:
        density.coefficients[0] += density.charge() / density.shells.charges()[0]
    return density


def with_functions_anywhere(seed):
    """Shells on bonds and elsewhere as well: every third of a random molecule is moved."""
    density = random_molecule(seed)
    rng = np.random.default_rng(seed)
    moved = density.centers.clone()
    moved[::3] += torch.as_tensor(rng.uniform(-2, 2, size=moved[::3].shape))
    return Density(moved, density.exponents, density.l, density.coefficients, density.nuclei)


def spherical_molecule(seed: int, elements: list[str] = ELEMENTS) -> Density:
    """Neutral atoms that do not see each other: two s-functions each, which hold Z electrons together."""
    rng = np.random.default_rng(seed)
    z = np.array([atomic_numbers[e] for e in elements], dtype=float)
    positions, exponents = random_positions(rng, len(z)), rng.uniform(0.3, 5, 2 * len(z))
    share = rng.uniform(0.2, 0.8, len(z))
    electrons = np.stack([share * z, (1 - share) * z], axis=1).ravel()
    return of_gaussians(np.repeat(positions, 2, axis=0), exponents, electrons, positions, z)


def of_gaussians(centers, exponents, electrons, positions, charges) -> Density:
    """So many electrons in a Gaussian (α/π)^(3/2) exp(−αr²) at every centre, and these nuclei."""
    centers, exponents, electrons, positions, charges = (
        torch.as_tensor(np.array(a, dtype=float)) for a in (centers, exponents, electrons, positions, charges)
    )
    unit = (2 * exponents / np.pi) ** -0.75 * (exponents / np.pi) ** 1.5  # height over that of a normalised function
    l = torch.zeros(len(exponents), dtype=torch.long)
    return Density(centers, exponents, l, unit * electrons, Nuclei(positions, charges))


def joined(*parts: Density) -> Density:
    """One molecule of several: all functions and all nuclei."""
    shells = (torch.cat([getattr(p, name) for p in parts]) for name in ("centers", "exponents", "l", "coefficients"))
    nuclei = Nuclei(*(torch.cat([getattr(p.nuclei, name) for p in parts]) for name in ("positions", "charges")))
    return Density(*shells, nuclei)


def shifted(density: Density, shift) -> Density:
    shift = torch.as_tensor(np.array(shift, dtype=float))
    nuclei = Nuclei(density.nuclei.positions + shift, density.nuclei.charges)
    return Density(density.centers + shift, density.exponents, density.l, density.coefficients, nuclei)


def single(density: Density) -> Density:
    """The same in single precision, nuclei too."""
    nuclei = Nuclei(density.nuclei.positions.float(), density.nuclei.charges.float())
    numbers = density.exponents.float(), density.l, density.coefficients.float()
    return Density(density.centers.float(), *numbers, nuclei)


def symmetrised(t: np.ndarray, places: int) -> np.ndarray:
    """Sum over the orders of axes that differ, given how many: 3 for a⊗b⊗b."""
    orders = list(permutations(range(t.ndim)))
    return sum(t.transpose(order) for order in orders) * places / len(orders)


def about(moments: list[np.ndarray], origin: np.ndarray) -> list[np.ndarray]:
    """Moments about ``origin`` of those about zero: of every charge, (r − o)⊗(r − o)⊗(r − o) multiplied out."""
    q, d, quadrupole, octupole = (np.asarray(m) for m in moments)
    o = np.asarray(origin)
    oo = np.multiply.outer(o, o)
    return [
        q,
        d - q * o,
        quadrupole - symmetrised(np.multiply.outer(d, o), 2) + q * oo,
        octupole
        - symmetrised(np.multiply.outer(quadrupole, o), 3)
        + symmetrised(np.multiply.outer(d, oo), 3)
        - q * np.multiply.outer(oo, o),
    ]


def electronic_potential(density: Density, points: np.ndarray, derivative: int = 0) -> np.ndarray:
    """∫ρ/|r − R| dr at points R, and its derivatives, (P, 3, …): PySCF's integrals with point charges."""
    name = ["int2c2e", "int2c2e_ip1", "int2c2e_ipip1"][derivative]
    integrals = gto.intor_cross(name, as_pyscf(density.shells), gto.fakemol_for_charges(np.asarray(points)))
    integrals = integrals.reshape(-1, *integrals.shape[-2:])[:, to_standard(density.l)]
    values = np.einsum("cfp,f->pc", integrals, density.coefficients.numpy())
    return values.reshape(-1, *(3,) * derivative)


def nuclear_potential(density: Density, points: np.ndarray, derivative: int = 0) -> np.ndarray:
    """Σ Z/|R − R_A| or its derivatives, the nucleus at the point left out; nucleus by nucleus."""
    result = np.zeros((len(points), *(3,) * derivative))
    for z, position in zip(density.nuclei.charges.numpy(), density.nuclei.positions.numpy(), strict=True):
        for k, d in enumerate(np.asarray(points) - position):
            r = np.linalg.norm(d)
            if r > 0:
                result[k] += z * [1 / r, -d / r**3, (3 * np.outer(d, d) - r**2 * np.eye(3)) / r**5][derivative]
    return result
