"""Levels of theory, and molecules at them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from densitylab.keys import fingerprint
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms


class LabelError(RuntimeError):
    """A calculation that gave no usable label; the message says why."""


Correlation = Literal["MP2", "CCSD", "CCSD(T)"]
_BASIS_LINE = re.compile(r"\s*(#.*|[A-Za-z][\w \"*+-]*|[-+.\deEdD\s]*)")  # PySCF evaluates what is no number as Python
_ALWAYS_NAMED = 5  # the first fields; later ones count only where they differ, so that older labels keep their keys


@dataclass(frozen=True)
class Level:
    """Level of theory: whatever changes the numbers.

    Attributes
    ----------
    functional: any that PySCF knows; ``HF`` for Hartree-Fock.
    basis: orbital basis, by PySCF's name, by that of the Basis Set Exchange, or as text in NWChem's format (with a line
        ``#BASIS SET:`` before each element).
    density_fit: Coulomb and exchange by density fitting (PySCF's default auxiliary set for ``basis``).
    grid_level: PySCF's exchange-correlation grid, 0 … 9.
    energy_tolerance_hartree: convergence of the energy.
    dispersion: of energy and forces, ``d3bj``, ``d3zero`` or ``d4`` (needs ``densitylab[dispersion]``).
    correlation: ``MP2``, ``CCSD`` or ``CCSD(T)`` on top of ``functional=HF``, without density fitting.
    frozen_core: leave the core orbitals out of the correlation.
    relaxed: the correlated one-particle density includes the response of the orbitals, so that its moments are
        derivatives of the energy; otherwise it is the expectation value with fixed orbitals. No matter without
        correlation.
    program: what made the calculation. Others than ``pyscf`` can be imported, not run.

    Raises
    ------
    ValueError
        If settings contradict each other.
    """

    functional: str = "PBE0"
    basis: str = "aug-cc-pVTZ"
    density_fit: bool = True
    grid_level: int = 3
    energy_tolerance_hartree: float = 1e-9
    dispersion: str | None = None
    correlation: Correlation | None = None
    frozen_core: bool = False
    relaxed: bool = True
    program: str = "pyscf"

    def __post_init__(self) -> None:
        strange = [line for line in self.basis.splitlines() if "\n" in self.basis and not _BASIS_LINE.fullmatch(line)]
        if strange:
            raise ValueError(f"a basis text has elements, shells and numbers, but this one has {strange[0]!r}")
        if self.correlation is None:
            return
        if self.correlation not in get_args(Correlation):
            raise ValueError(f"unknown correlation {self.correlation} (known: {', '.join(get_args(Correlation))})")
        if self.functional.upper() != "HF":
            raise ValueError(f"{self.correlation} stands on Hartree-Fock: functional=HF, not {self.functional}")
        if self.density_fit and self.program == "pyscf":
            raise ValueError(f"{self.correlation} has no gradient with density fitting in PySCF: density_fit=false")

    def __str__(self) -> str:
        method = self.correlation or self.functional + (f"-{self.dispersion.upper()}" if self.dispersion else "")
        return f"{method}/{self.basis if chr(10) not in self.basis else 'own basis'}"

    @property
    def identity(self) -> dict[str, Any]:
        """What a record says of its level: ``Level(**identity)`` is this one again."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        named = list(values)[:_ALWAYS_NAMED]
        return {name: value for name, (value, default) in values.items() if name in named or value != default}

    @property
    def hash(self) -> str:
        """Content hash of all settings."""
        return fingerprint(self.identity)


def molecule(atoms: Atoms, level: Level) -> Any:
    """The PySCF ``Mole`` of a structure in the orbital basis of ``level``."""
    from pyscf import gto

    _refuse_core_potentials(set(atoms.symbols), level)
    geometry = list(zip(atoms.symbols, atoms.positions * ANGSTROM_TO_BOHR, strict=True))
    spin = atoms.info["multiplicity"] - 1
    try:
        with warnings.catch_warnings():  # PySCF would go on with the functions of another element
            warnings.filterwarnings("error", message="The basis set string does not explicitly match")
            mole = gto.M(
                atom=geometry, unit="Bohr", basis=level.basis, charge=atoms.info["charge"], spin=spin, verbose=0
            )
    except (KeyError, RuntimeError, ValueError, UserWarning) as error:
        raise LabelError(f"PySCF cannot set up {level} for {atoms.get_chemical_formula()}: {error}") from None
    merged = {symbol: _generally_contracted(shells) for symbol, shells in mole._basis.items()}
    if merged == mole._basis:  # keeps the name, by which PySCF chooses functions for density fitting
        return mole
    mole.basis = merged
    return mole.build(dump_input=False, parse_arg=False)


def _generally_contracted(shells: list[Any]) -> list[Any]:
    """The same functions in the same order, neighbours with the same primitives as one shell.

    The Basis Set Exchange lists them one by one, and PySCF then computes every primitive as often (sigmaDZHF: 4 times
    the work).
    """
    merged: list[Any] = []
    for l, *rows in shells:
        before, last = (merged[-1][0], merged[-1][1:]) if merged else (None, [])
        if before == l and [row[0] for row in last] == [row[0] for row in rows]:
            merged[-1] = [l, *([*row, *more[1:]] for row, more in zip(last, rows, strict=True))]
        else:
            merged.append([l, *rows])
    return merged


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
