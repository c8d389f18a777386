"""Self-consistent field calculations (PySCF): energy, forces, dipole and the orbitals that make the density."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from densitylab.keys import fingerprint
from densitylab.labels.level import LabelError, Level, molecule
from densitylab.structures import check

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Calculation:
    """One structure at one level.

    Attributes
    ----------
    atoms: positions in Å, with charge, multiplicity and group in ``info``.
    level: level of theory.
    energy: hartree.
    forces: (A, 3), hartree/bohr, −∂E/∂R.
    dipole: (3,), e·bohr, about the origin of the coordinates.
    orbitals: (AO, N) occupied orbitals, PySCF's order of functions; α then β for open shells.
    occupations: (N,).
    seconds: wall time.
    """

    atoms: Atoms
    level: Level
    energy: float
    forces: np.ndarray
    dipole: np.ndarray
    orbitals: np.ndarray
    occupations: np.ndarray
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """Identity in the store: structure and level."""
        return calculation_key(self.atoms, self.level)

    def density_matrix(self) -> np.ndarray:
        """(AO, AO), PySCF's order."""
        return (self.orbitals * self.occupations) @ self.orbitals.T

    def density_values(self, points: Tensor, tile: int = 20_000) -> Tensor:
        """ρ at ``points`` (P, 3) in bohr from the orbitals: (P,), e/bohr³."""
        mole = molecule(self.atoms, self.level)
        values = []
        for block in np.array_split(points.numpy(), max(1, -(-len(points) // tile))):
            orbitals = mole.eval_gto("GTOval_sph", block) @ self.orbitals
            values.append(orbitals**2 @ self.occupations)
        return torch.as_tensor(np.concatenate(values))


def calculation_key(atoms: Atoms, level: Level) -> str:
    """Hash of the structure (positions to 1e-6 Å, in the order given), charge, multiplicity and level."""
    rounded = np.round(atoms.positions * 1e6).astype(int).tolist()
    identity = [atoms.numbers.tolist(), rounded, atoms.info["charge"], atoms.info["multiplicity"], level.hash]
    return fingerprint(identity)


def calculate(atoms: Atoms, level: Level) -> Calculation:
    """Run the calculation.

    Raises
    ------
    StructureError
        If the structure is not one (:func:`densitylab.structures.check`).
    LabelError
        If PySCF does not know the level or the SCF does not converge.
    """
    check(atoms)
    start = time.perf_counter()
    solver = _solver(molecule(atoms, level), level)
    energy = solver.kernel()
    if not solver.converged:
        raise LabelError(f"the SCF did not converge in {solver.max_cycle} cycles")
    orbitals, occupations = _occupied(solver)
    return Calculation(
        atoms=atoms,
        level=level,
        energy=float(energy),
        forces=-solver.nuc_grad_method().kernel(),
        dipole=solver.dip_moment(unit="au", verbose=0),
        orbitals=orbitals,
        occupations=occupations,
        seconds=time.perf_counter() - start,
    )


def _solver(mole: Any, level: Level) -> Any:
    from pyscf import dft, scf

    if level.functional.upper() == "HF":
        solver = scf.HF(mole)
    else:
        try:
            dft.libxc.parse_xc(level.functional)
        except KeyError:
            raise LabelError(f"PySCF knows no functional called {level.functional}") from None
        solver = dft.KS(mole, xc=level.functional)
        solver.grids.level = level.grid_level
    solver.chkfile = None  # one more file that could fill a disk
    solver.conv_tol = level.energy_tolerance_hartree
    return solver.density_fit() if level.density_fit else solver


def _occupied(solver: Any) -> tuple[np.ndarray, np.ndarray]:
    coefficients, occupations = np.asarray(solver.mo_coeff), np.asarray(solver.mo_occ)
    if coefficients.ndim == 3:  # open shell: α and β side by side
        coefficients, occupations = np.concatenate(list(coefficients), axis=1), occupations.ravel()
    chosen = occupations > 0
    return np.ascontiguousarray(coefficients[:, chosen]), occupations[chosen]
