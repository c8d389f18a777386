"""Records of densities whose orbitals are unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from ase import Atoms

from densitylab.density import Density, GaussianBasis
from densitylab.labels.calculation import UNTRUSTED, Calculation
from densitylab.labels.importers.read import Imported
from densitylab.labels.level import LabelError, Level
from densitylab.structures import prepare

_WHOLE = 1e-3  # float32 coefficients hold 1e-6 of the electrons of a nucleosome


def imported(
    atoms: Atoms,
    level: Level,
    make_basis: Callable[..., GaussianBasis],
    coefficients: np.ndarray,
    energy: float,
    forces: np.ndarray,
) -> Imported:
    """A record of ρ itself, given by coefficients (F,); charge and dipole are those of the density.

    Raises
    ------
    LabelError
        If its electrons are not a whole number (unless atoms are marked as untrusted).
    """
    density = Density.from_basis(make_basis(elements=set(atoms.symbols)), atoms, torch.as_tensor(coefficients))
    charge = float(density.charge())
    if not abs(charge - round(charge)) < _WHOLE and UNTRUSTED not in atoms.info:
        raise LabelError(f"{float(density.electrons()):.4f} electrons are not a whole number")
    atoms = prepare(atoms, charge=round(charge))
    nothing = np.empty((0, 0)), np.empty(0)
    dipole = density.dipole().numpy()
    return Imported(Calculation(atoms, level, energy, forces, dipole, *nothing), coefficients)
