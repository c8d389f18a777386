"""What every record must fulfil: electrons, dipole, forces, rows of the basis. Cheap enough for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from densitylab.density import Density, GaussianBasis, Prior
from densitylab.labels.calculation import UNTRUSTED, Calculation
from densitylab.labels.fit import Fit
from densitylab.labels.level import LabelError, molecule
from densitylab.structures import electrons
from densitylab.units import ANGSTROM_TO_BOHR, EBOHR_TO_DEBYE

if TYPE_CHECKING:
    from ase import Atoms

# Measured on the 138 shipped water clusters: 3e-13 e, 5e-12 D, 4e-5 hartree/bohr, 1.2e-4 hartree, 0.010 D. The limits
# leave room for coarse grids and other programs; a shifted, swapped or unit-less record is off by far more: the
# published DNA set, without its last two rows, has a net force of 0.02 hartree/bohr.
_ELECTRONS = 1e-6  # of natural orbitals, some of which are not kept
_FITTED_ELECTRONS = {True: 1e-5, False: 1e-3}  # per electron, with and without a charge constraint (float32 files)
_ORBITAL_DIPOLE_DEBYE = 1e-3
_FITTED_DIPOLE_DEBYE = 0.3
_NET_FORCE = 2e-3


@dataclass(frozen=True)
class Finding:
    """One number of one record that should be within ±``limit``; not a number: nothing to check."""

    check: str
    value: float
    limit: float
    unit: str

    @property
    def failed(self) -> bool:
        """Whether it is not."""
        return abs(self.value) > self.limit

    def __str__(self) -> str:
        return f"{self.check}: {self.value:.3g} {self.unit} (allowed: {self.limit:.1g})"


def check_calculation(calculation: Calculation) -> Iterator[Finding]:
    """Electrons and dipole of the orbitals, sum of forces and torques. What a record does not hold is left out."""
    if calculation.orbitals.size:
        yield from _check_orbitals(calculation)
    if UNTRUSTED in calculation.atoms.info or not np.isfinite(calculation.forces).any():
        return
    arms = (calculation.atoms.positions - calculation.atoms.positions.mean(axis=0)) * ANGSTROM_TO_BOHR
    torque = np.linalg.norm(np.cross(arms, calculation.forces).sum(axis=0))
    lever = 1 + float(np.linalg.norm(arms, axis=1).max())
    yield _finding("net force", np.linalg.norm(calculation.forces.sum(axis=0)), _NET_FORCE, "hartree/bohr")
    yield _finding("net torque", torque, lever * _NET_FORCE, "hartree")


def check_fit(
    calculation: Calculation, fit: Fit, basis: GaussianBasis, prior: Prior, constraints: Iterable[str]
) -> Iterator[Finding]:
    """Rows of the elements, electrons and dipole of the fit. Neither of a fit that is trusted only in part."""
    atoms = calculation.atoms
    wrong = _wrong_rows(atoms, fit, basis)
    yield Finding("basis rows", float(wrong), 0, "")
    if wrong or UNTRUSTED in atoms.info:
        return
    density = Density.from_basis(basis, atoms, torch.as_tensor(fit.coefficients)) + prior.density(atoms)
    number, dipole = electrons(atoms), density.dipole().numpy() - calculation.dipole
    limit = _FITTED_ELECTRONS["charge" in constraints] * number
    yield _finding("fitted electrons", float(density.electrons()) - number, limit, "e")
    if calculation.orbitals.size:  # else the dipole is that of the fit
        yield _finding("fitted dipole", np.linalg.norm(dipole) * EBOHR_TO_DEBYE, _FITTED_DIPOLE_DEBYE, "D")


def require_sound(findings: Iterable[Finding]) -> None:
    """Raise :class:`LabelError` that names what is out of bounds."""
    failed = [str(finding) for finding in findings if finding.failed]
    if failed:
        raise LabelError(f"not a sound record: {', '.join(failed)}")


def _wrong_rows(atoms: Atoms, fit: Fit, basis: GaussianBasis) -> int:
    """Atoms without functions; else coefficients too many or too few; else those that are no numbers."""
    missing = sum(symbol not in basis.elements for symbol in atoms.symbols)
    if missing:
        return missing
    expected = sum(basis.size(symbol) for symbol in atoms.symbols)
    return abs(expected - fit.coefficients.size) or int((~np.isfinite(fit.coefficients)).sum())


def _check_orbitals(calculation: Calculation) -> Iterator[Finding]:
    mole, orbitals = molecule(calculation.atoms, calculation.level), calculation.orbitals
    if orbitals.shape != (mole.nao, len(calculation.occupations)):
        yield Finding("basis rows", float(orbitals.shape[0] - mole.nao or 1), 0, "")
        return

    def expectation(matrix: np.ndarray) -> float:
        return float(np.einsum("pi,pi,i->", orbitals, matrix @ orbitals, calculation.occupations))

    number = expectation(mole.intor("int1e_ovlp"))
    yield _finding("electrons", number - electrons(calculation.atoms), _ELECTRONS * max(1.0, number), "e")
    nuclear = mole.atom_charges() @ mole.atom_coords()
    dipole = nuclear - [expectation(matrix) for matrix in mole.intor("int1e_r")]
    error = np.linalg.norm(dipole - calculation.dipole) * EBOHR_TO_DEBYE
    yield _finding("dipole", error, _ORBITAL_DIPOLE_DEBYE, "D")


def _finding(check: str, value: Any, limit: float, unit: str) -> Finding:
    """What is not finite is a failure, not nothing to check."""
    return Finding(check, float(value) if np.isfinite(value) else float("inf"), limit, unit)
