"""Levels of theory, and molecules at them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from densitylab.keys import fingerprint
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms


class LabelError(RuntimeError):
    """A calculation that gave no usable label; the message says why."""


@dataclass(frozen=True)
class Level:
    """Level of theory: whatever changes the numbers.

    Attributes
    ----------
    functional: any that PySCF knows; ``HF`` for Hartree-Fock.
    basis: orbital basis, by PySCF's name.
    density_fit: Coulomb and exchange by density fitting (PySCF's default auxiliary set for ``basis``).
    grid_level: PySCF's exchange-correlation grid, 0 … 9.
    energy_tolerance_hartree: convergence of the energy.
    """

    functional: str = "PBE0"
    basis: str = "aug-cc-pVTZ"
    density_fit: bool = True
    grid_level: int = 3
    energy_tolerance_hartree: float = 1e-9

    def __str__(self) -> str:
        return f"{self.functional}/{self.basis}"

    @property
    def hash(self) -> str:
        """Content hash of all settings."""
        return fingerprint(asdict(self))


def molecule(atoms: Atoms, level: Level) -> Any:
    """The PySCF ``Mole`` of a structure in the orbital basis of ``level``."""
    from pyscf import gto

    _refuse_core_potentials(set(atoms.symbols), level)
    geometry = list(zip(atoms.symbols, atoms.positions * ANGSTROM_TO_BOHR, strict=True))
    spin = atoms.info["multiplicity"] - 1
    try:
        return gto.M(atom=geometry, unit="Bohr", basis=level.basis, charge=atoms.info["charge"], spin=spin, verbose=0)
    except (KeyError, RuntimeError, ValueError) as error:
        raise LabelError(f"PySCF cannot set up {level} for {atoms.get_chemical_formula()}: {error}") from None


def _refuse_core_potentials(symbols: set[str], level: Level) -> None:
    """Valence-only basis sets without their potential converge to nonsense."""
    from pyscf.gto import basis

    for symbol in sorted(symbols):
        try:
            potential = basis.load_ecp(level.basis, symbol)
        except (KeyError, RuntimeError, ValueError):  # no such set for this element: gto.M has the better sentence
            continue
        if potential:
            raise LabelError(f"{level.basis} describes {symbol} with a core potential, which is not supported yet")
