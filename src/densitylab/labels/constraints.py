"""Exact linear constraints A c = t of a density fit: charge, dipole, the electric field at every nucleus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from densitylab.density import Density, Shells
from densitylab.density.at_points import potential
from densitylab.density.integrals import fields
from densitylab.structures import electrons

if TYPE_CHECKING:
    from densitylab.labels.calculation import Calculation

Constraint = Literal["charge", "dipole", "field"]


def constraint_rows(names: tuple[Constraint, ...], shells: Shells, nuclei: torch.Tensor) -> np.ndarray:
    """(n, F) linear constraints: A c is the charge, first moment or field (at ``nuclei``, bohr) of the functions."""
    rows = {
        "charge": shells.charges,
        "dipole": lambda: shells.first_moments().T,
        "field": lambda: fields(shells, nuclei),
    }
    made = [rows[name]().reshape(-1, shells.size).numpy() for name in names]
    return np.concatenate([np.empty((0, shells.size)), *made])


def targets_of(names: tuple[Constraint, ...], calculation: Calculation, reference: Density) -> np.ndarray:
    """(n,) what A c must be for the density of a calculation minus ``reference``."""
    made = {
        "charge": lambda: electrons(calculation.atoms) - reference.electrons(),
        "dipole": lambda: reference.dipole() - torch.as_tensor(calculation.dipole),
        "field": lambda: torch.as_tensor(calculation.nuclear_fields) - field_at_nuclei(reference),
    }
    return np.concatenate([np.empty(0), *(made[name]().reshape(-1).numpy() for name in names)])


def field_at_nuclei(density: Density) -> torch.Tensor:
    """(A, 3) field of a density at its nuclei."""
    return potential(density.shells, density.coefficients, density.nuclei.positions, derivative=1)
