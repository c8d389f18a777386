"""Errors of one predicted density."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from densitylab.density import Density
from densitylab.density.compare import epsilon
from densitylab.density.grid import atom_centered, uniform
from densitylab.labels.records import Label
from densitylab.structures import electrons
from densitylab.units import EBOHR_TO_DEBYE

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Errors:
    """Of one structure.

    Attributes
    ----------
    key: of the calculation in the store.
    group: number of molecules (``info["size"]``), or the chemical formula.
    epsilon_floor: fit + prior against the SCF orbitals, %; None for imports without orbitals.
    epsilon_network: prediction against fit, %.
    epsilon_total: prediction + prior against the SCF orbitals, %; at most floor + network. None like the floor.
    electrons: predicted minus true number, e; None where atoms of an import are not trusted.
    dipole: norm of the error against the SCF dipole (of the fit, without orbitals), D; None like the electrons.
    epsilon_l: for l = 0, 1, …: ∫ of the absolute error of the partial density of that l over N_el, %. They do not add
        up to ``epsilon_network``.
    epsilon_uniform: network error as Rackers 2023 measures it, on a uniform grid and divided by the grid's own
        electrons, %; None unless asked for.
    """

    key: str
    group: str
    epsilon_floor: float | None
    epsilon_network: float
    epsilon_total: float | None
    electrons: float | None
    dipole: float | None
    epsilon_l: tuple[float, ...] = ()
    epsilon_uniform: float | None = None

    def values(self) -> dict[str, float]:
        """All numbers by name; ``epsilon_l`` becomes ``epsilon_l0``, ``epsilon_l1`` …"""
        plain = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        partial = {f"epsilon_l{l}": value for l, value in enumerate(plain.pop("epsilon_l"))}
        return {name: value for name, value in (plain | partial).items() if value is not None}


def unit(name: str) -> str:
    """Of an error."""
    return {"electrons": "e", "dipole": "D"}.get(name, "%")


def density_errors(
    label: Label, coefficients: Tensor, grid_level: int = 2, uniform_spacing_angstrom: float | None = None
) -> Errors:
    """Errors of predicted coefficients (F,) of Δρ, on an atom-centred grid (see DESIGN.md, definition of ε).

    With ``uniform_spacing_angstrom`` (0.1 in the paper) also on the uniform grid of Rackers 2023, which takes long.
    """
    calculation, atoms = label.calculation, label.calculation.atoms
    grid, number = atom_centered(atoms, grid_level), electrons(atoms)
    fitted = Density.from_basis(label.basis, atoms, torch.as_tensor(label.fit.coefficients))
    predicted, prior = fitted.with_coefficients(coefficients), label.prior.density(atoms)
    trusted = torch.as_tensor(label.trusted())
    difference = fitted.with_coefficients((coefficients - fitted.coefficients) * trusted)
    fitted_values = (fitted + prior).values(grid.points)
    exact = calculation.density_values(grid.points) if calculation.orbitals.size else None
    partial = difference.values_by_degree(grid.points)
    predicted_values, zero = fitted_values + partial.sum(-1), torch.zeros_like(fitted_values)
    dipole = (predicted + prior).dipole() - torch.as_tensor(calculation.dipole)
    whole = bool(trusted.all())
    return Errors(
        key=calculation.key,
        group=str(atoms.info.get("size", atoms.get_chemical_formula())),
        epsilon_floor=None if exact is None else epsilon(fitted_values, exact, grid, number),
        epsilon_network=epsilon(predicted_values, fitted_values, grid, number),
        epsilon_total=None if exact is None else epsilon(predicted_values, exact, grid, number),
        electrons=float((predicted + prior).electrons()) - number if whole else None,
        dipole=float(dipole.norm()) * EBOHR_TO_DEBYE if whole else None,
        epsilon_l=tuple(epsilon(values, zero, grid, number) for values in partial.T),
        epsilon_uniform=_uniform(difference, fitted + prior, atoms, uniform_spacing_angstrom),
    )


def _uniform(difference: Density, reference: Density, atoms: Atoms, spacing_angstrom: float | None) -> float | None:
    """100 · Σ|Δρ| / Σρ over a uniform grid, in %."""
    if spacing_angstrom is None:
        return None
    points = uniform(atoms, spacing_angstrom).points
    return 100 * float(difference.values(points).abs().sum() / reference.values(points).sum())
