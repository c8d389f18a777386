"""An initial guess for a self-consistent field from a density.

ρ alone has no exact exchange, so the Fock matrix is that of a semilocal functional, h + J[ρ] + v_xc[ρ], diagonalised
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from densitylab.density.integrals import as_mole, in_pyscf_order

if TYPE_CHECKING:
    from densitylab.density.density import Density

_SMALLEST = 1e-10  # e/bohr³: where a prediction is not positive there is nothing, and no potential
_SHELLS = 100  # of the density in a block of three-index integrals


def initial_guess(density: Density, mole: Any, functional: str = "PBE", grid_level: int = 0) -> np.ndarray:
    """Density matrix for ``solver.kernel(dm0=…)``, in the orbital basis of a PySCF ``Mole`` of the same structure.

    (AO, AO), or (2, AO, AO) for open shells, whose α and β electrons fill the same orbitals. ``functional`` is any of
    PySCF's that needs the density and its gradient at most.

    Raises
    ------
    ValueError
        If the nuclei of the two are not the same.
    """
    from scipy.linalg import eigh

    positions = density.nuclei.positions.detach().cpu().numpy()
    if mole.atom_coords().shape != positions.shape or np.abs(mole.atom_coords() - positions).max() > 1e-4:
        raise ValueError("density and molecule do not have the same nuclei")
    hamiltonian = mole.intor("int1e_kin") + mole.intor("int1e_nuc")
    if mole.has_ecp():
        hamiltonian = hamiltonian + mole.intor("ECPscalar")
    fock = hamiltonian + _repulsion(density, mole) + _exchange_correlation(density, mole, functional, grid_level)
    orbitals = eigh(fock, mole.intor("int1e_ovlp"))[1]
    alpha, beta = (orbitals[:, :number] @ orbitals[:, :number].T for number in mole.nelec)
    return alpha + beta if mole.spin == 0 else np.stack([alpha, beta])


def _repulsion(density: Density, mole: Any) -> np.ndarray:
    """(AO, AO) matrix of the Coulomb potential of ρ."""
    from pyscf import df

    shells = density.shells
    auxiliary, l = as_mole(shells), shells.l.cpu().numpy()
    weights = in_pyscf_order(shells, density.coefficients)
    total = np.zeros(mole.nao * (mole.nao + 1) // 2)
    edges = np.concatenate([[0], np.cumsum(2 * l + 1)])
    for first in range(0, len(l), _SHELLS):
        last = min(first + _SHELLS, len(l))
        block = df.incore.aux_e2(
            mole, auxiliary, "int3c2e", aosym="s2ij", shls_slice=(0, mole.nbas, 0, mole.nbas, first, last)
        )
        total += block @ weights[edges[first] : edges[last]]
    matrix = np.zeros((mole.nao, mole.nao))
    matrix[np.tril_indices(mole.nao)] = total
    return matrix + np.tril(matrix, -1).T


def _exchange_correlation(density: Density, mole: Any, functional: str, grid_level: int) -> np.ndarray:
    """(AO, AO) matrix of v_xc[ρ], on an atom-centred grid."""
    from pyscf import dft

    grids = dft.gen_grid.Grids(mole)
    grids.level = grid_level
    grids.build(with_non0tab=True)
    integrator, matrix = dft.numint.NumInt(), np.zeros((mole.nao, mole.nao))
    for orbitals, _, weights, points in integrator.block_loop(mole, grids, mole.nao, deriv=1):
        where = torch.as_tensor(points).to(density.centers)
        values = torch.cat([density.values(where)[None], density.gradient(where).T])
        rho = values.detach().cpu().numpy()
        rho[:, rho[0] < _SMALLEST] = 0.0
        potential = integrator.eval_xc_eff(functional, _needed(functional, rho), deriv=1)[1] * weights
        potential[0] *= 0.5  # the transpose below adds it twice
        matrix += orbitals[0].T @ np.einsum("xg,xgi->gi", potential, orbitals[: len(potential)])
    return matrix + matrix.T


def _needed(functional: str, rho: np.ndarray) -> np.ndarray:
    """Values and gradient for a gradient functional, values alone for a local one."""
    from pyscf import dft

    kind = dft.libxc.xc_type(functional)
    if kind not in ("LDA", "GGA") or dft.libxc.is_hybrid_xc(functional) or dft.libxc.is_nlc(functional):
        raise ValueError(f"{functional} is no local density or gradient functional")
    return rho if kind == "GGA" else rho[:1]
