"""Calculations and fits to and from the records of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from densitylab.density import GaussianBasis, Prior
from densitylab.labels.calculation import UNTRUSTED, Calculation, versions
from densitylab.labels.fit import Fit, FitSettings
from densitylab.labels.level import Level
from densitylab.labels.store import Store


@dataclass(frozen=True)
class Label:
    """A calculation with one of its fits, and what the fit is made of."""

    calculation: Calculation
    fit: Fit
    basis: GaussianBasis
    prior: Prior

    def trusted(self) -> np.ndarray:
        """(F,) 1 for every function whose coefficient is known, 0 for those of untrusted atoms of an import."""
        atoms = self.calculation.atoms
        known = np.ones(len(atoms))
        known[atoms.info.get(UNTRUSTED, [])] = 0
        return np.repeat(known, [self.basis.size(symbol) for symbol in atoms.symbols])


def save_calculation(store: Store, calculation: Calculation, licence: str | None = None) -> None:
    """Add a calculation to the store, with the program versions that made it and the licence it may be used under."""
    atoms = calculation.atoms
    arrays = {
        "numbers": np.asarray(atoms.numbers),
        "positions": np.asarray(atoms.positions),
        "energy": np.asarray(calculation.energy),
        "forces": np.asarray(calculation.forces),
        "dipole": np.asarray(calculation.dipole),
        "orbitals": np.asarray(calculation.orbitals),
        "occupations": np.asarray(calculation.occupations),
    }
    meta = {
        "info": _plain(atoms.info),
        "elements": sorted(set(atoms.symbols)),
        "level": calculation.level.identity,
        "energies_hartree": calculation.energies,
        "seconds": calculation.seconds,
        "programs": versions("densitylab") | calculation.programs,
        "licence": licence,
    }
    store.put("calculation", calculation.key, arrays, meta)


def load_calculation(store: Store, key: str) -> Calculation:
    """Read a calculation back."""
    record = store.get("calculation", key)
    arrays, meta = record.arrays, record.meta
    return Calculation(
        atoms=Atoms(numbers=arrays["numbers"], positions=arrays["positions"], info=meta["info"]),
        level=Level(**meta["level"]),
        energy=float(arrays["energy"]),
        forces=arrays["forces"],
        dipole=arrays["dipole"],
        orbitals=arrays["orbitals"],
        occupations=arrays["occupations"],
        energies=meta.get("energies_hartree", {}),  # older records have none
        seconds=meta["seconds"],
        programs=meta["programs"],
    )


def save_fit(
    store: Store,
    key: str,
    calculation_key: str,
    fit: Fit,
    basis: GaussianBasis,
    prior: Prior,
    settings: FitSettings,
) -> None:
    """Add a fit to the store."""
    meta = {
        "calculation": calculation_key,
        "basis": basis.describe(),
        "prior": prior.describe(),
        "programs": versions("densitylab", "pyscf"),
        "metric": settings.metric,
        "constraints": sorted(settings.constraints),
        "residuals": fit.residuals,
    }
    store.put("fit", key, {"coefficients": fit.coefficients}, meta)


def load_fit(store: Store, key: str) -> Fit:
    """Read a fit back."""
    record = store.get("fit", key)
    return Fit(record.arrays["coefficients"], record.meta["residuals"])


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    """``Atoms.info`` as JSON can hold it (ASE reads numbers as NumPy scalars)."""
    return {key: value.tolist() if isinstance(value, np.generic | np.ndarray) else value for key, value in info.items()}
