"""Errors of one predicted density."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from densitylab.density import Density
from densitylab.density.compare import epsilon
from densitylab.density.grid import atom_centered
from densitylab.labels.records import Label
from densitylab.structures import electrons
from densitylab.units import EBOHR_TO_DEBYE


@dataclass(frozen=True)
class Errors:
    """Of one structure.

    Attributes
    ----------
    key: of the calculation in the store.
    group: number of molecules (``info["size"]``), or the chemical formula.
    epsilon_floor: fit + prior against the SCF orbitals, %.
    epsilon_network: prediction against fit, %.
    epsilon_total: prediction + prior against the SCF orbitals, %; at most floor + network.
    electrons: predicted minus true number, e.
    dipole: norm of the error against the SCF dipole, D.
    """

    key: str
    group: str
    epsilon_floor: float
    epsilon_network: float
    epsilon_total: float
    electrons: float
    dipole: float


UNITS = {"epsilon_floor": "%", "epsilon_network": "%", "epsilon_total": "%", "electrons": "e", "dipole": "D"}


def density_errors(label: Label, coefficients: Tensor, grid_level: int = 2) -> Errors:
    """Errors of predicted coefficients (F,) of Δρ, on an atom-centred grid (see DESIGN.md, definition of ε)."""
    calculation, atoms = label.calculation, label.calculation.atoms
    grid = atom_centered(atoms, grid_level)
    fitted = Density.from_basis(label.basis, atoms, torch.as_tensor(label.fit.coefficients))
    predicted = fitted.with_coefficients(coefficients)
    prior = label.prior.density(atoms)
    exact, prior_values = calculation.density_values(grid.points), prior.values(grid.points)
    fitted_values = fitted.values(grid.points) + prior_values
    predicted_values = predicted.values(grid.points) + prior_values
    number = electrons(atoms)
    dipole = (predicted + prior).dipole() - torch.as_tensor(calculation.dipole)
    return Errors(
        key=calculation.key,
        group=str(atoms.info.get("size", atoms.get_chemical_formula())),
        epsilon_floor=epsilon(fitted_values, exact, grid, number),
        epsilon_network=epsilon(predicted_values, fitted_values, grid, number),
        epsilon_total=epsilon(predicted_values, exact, grid, number),
        electrons=float((predicted + prior).electrons()) - number,
        dipole=float(dipole.norm()) * EBOHR_TO_DEBYE,
    )
