"""A calculation: one structure at one level of theory, and the orbitals that make its density."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from densitylab.keys import fingerprint
from densitylab.labels.level import LabelError, Level, molecule

if TYPE_CHECKING:
    from ase import Atoms

UNTRUSTED = "untrusted_atoms"
"""Key in ``Atoms.info``: indices of atoms whose density or surroundings are not known (see importers/published.py)."""


@dataclass(frozen=True)
class Calculation:
    """One structure at one level. What the source of an imported one did not say is not a number (NaN).

    Attributes
    ----------
    atoms: positions in Å, with charge, multiplicity and group in ``info``.
    level: level of theory.
    energy: hartree.
    forces: (A, 3), hartree/bohr, −∂E/∂R.
    dipole: (3,), e·bohr, about the origin of the coordinates; of the imported fit, if there are no orbitals.
    orbitals: (AO, N) occupied orbitals (natural ones of a correlated level), PySCF's order of functions; α then β for
        open shells. None of them, (0, 0), if the calculation was imported from where they are unknown.
    occupations: (N,).
    energies: hartree, of this level and of those it was built on: HF, MP2, CCSD, CCSD(T); and the dispersion in it.
    seconds: wall time.
    programs: versions of what made it.
    """

    atoms: Atoms
    level: Level
    energy: float
    forces: np.ndarray
    dipole: np.ndarray
    orbitals: np.ndarray
    occupations: np.ndarray
    energies: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    programs: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identity in the store: structure and level."""
        return calculation_key(self.atoms, self.level)

    def density_matrix(self) -> np.ndarray:
        """(AO, AO), PySCF's order. Raises :class:`LabelError` if there are no orbitals."""
        self._require_orbitals()
        return (self.orbitals * self.occupations) @ self.orbitals.T

    def density_values(self, points: Tensor, tile: int = 20_000) -> Tensor:
        """ρ at ``points`` (P, 3) in bohr from the orbitals: (P,), e/bohr³."""
        self._require_orbitals()
        mole = molecule(self.atoms, self.level)
        values = []
        for block in np.array_split(points.numpy(), max(1, -(-len(points) // tile))):
            orbitals = mole.eval_gto("GTOval_sph", block) @ self.orbitals
            values.append(orbitals**2 @ self.occupations)
        return torch.as_tensor(np.concatenate(values))

    @cached_property
    def nuclear_fields(self) -> np.ndarray:
        """(A, 3) electric field of the electrons at every nucleus from the orbitals, hartree/(e·bohr)."""
        mole, matrix, fields = molecule(self.atoms, self.level), self.density_matrix(), []
        for nucleus in range(len(self.atoms)):
            with mole.with_rinv_at_nucleus(nucleus):
                fields.append(2 * np.einsum("xij,ij->x", mole.intor("int1e_iprinv"), matrix))
        return np.array(fields)

    def _require_orbitals(self) -> None:
        if not self.orbitals.size:
            raise LabelError(f"{self.key} was imported without orbitals: its density is known only as it was fitted")


def versions(*programs: str) -> dict[str, str]:
    """Versions of installed programs, for records."""
    return {name: str(import_module(name).__version__) for name in dict.fromkeys(programs)}


def calculation_key(atoms: Atoms, level: Level) -> str:
    """Hash of the structure (positions to 1e-6 Å, in the order given), charge, multiplicity and level."""
    rounded = np.round(atoms.positions * 1e6).astype(int).tolist()
    identity = [atoms.numbers.tolist(), rounded, atoms.info["charge"], atoms.info["multiplicity"], level.hash]
    return fingerprint(identity)
