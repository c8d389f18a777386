"""How different two densities are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from densitylab.density.bilinear import coulomb_energy, overlap_integral
from densitylab.density.density import Density
from densitylab.density.grid import Grid, atom_centered
from densitylab.density.surface import esp_rms


@dataclass(frozen=True)
class Comparison:
    """Of a density ρ with a reference, see :func:`compare`.

    Attributes
    ----------
    epsilon: 100 · ∫|Δρ| dr / N_el, %.
    epsilon_l: the same for the functions of every l by themselves, %; they do not add up.
    big_i: ∫Δρ² / (∫ρ² + ∫ρ_ref²), between 0 and 1 (Rackers 2023).
    l2: (∫Δρ²)^½, e/bohr^(3/2).
    coulomb: ½ ∬ Δρ Δρ' / |r − r'|, hartree.
    similarity: ∫ρ ρ_ref / (∫ρ² ∫ρ_ref²)^½, 1 for the same (Carbó, Int. J. Quantum Chem. 17, 1185 (1980)).
    electrons: difference, e.
    dipole: norm of the difference, e·bohr.
    quadrupole: norm of the difference about the origin, e·bohr².
    esp_rms: of the electrostatic potentials on the surface where the reference is 0.002 e/bohr³, hartree/e.
    """

    epsilon: float
    epsilon_l: tuple[float, ...]
    big_i: float
    l2: float
    coulomb: float
    similarity: float
    electrons: float
    dipole: float
    quadrupole: float
    esp_rms: float


def compare(density: Density, reference: Density, grid: Grid | None = None) -> Comparison:
    """All measures of the difference; both need the same nuclei. ``grid``: default atom-centred, level 2."""
    grid = atom_centered(reference.nuclei.to_atoms()) if grid is None else grid
    grid = Grid(grid.points.to(density.centers), grid.weights.to(density.centers))
    difference, number = density - reference, float(reference.electrons())
    parts = difference.values_by_degree(grid.points)
    overlap, own, other = (_overlap(*pair) for pair in ((density, reference), (density, density), (reference,) * 2))
    squared = max(0.0, _overlap(difference, difference))
    zero = parts.new_zeros(len(parts))
    return Comparison(
        epsilon=epsilon(parts.sum(-1), zero, grid, number),
        epsilon_l=tuple(epsilon(part, zero, grid, number) for part in parts.T),
        big_i=squared / (own + other),
        l2=squared**0.5,
        coulomb=0.5 * float(coulomb_energy(*(2 * (difference.shells, difference.coefficients)))),
        similarity=overlap / (own * other) ** 0.5,
        electrons=float(difference.electrons()),
        dipole=float((density.dipole() - reference.dipole()).norm()),
        quadrupole=float((density.quadrupole() - reference.quadrupole()).norm()),
        esp_rms=esp_rms(density, reference),
    )


def epsilon(first: Tensor, second: Tensor, grid: Grid, electrons: float) -> float:
    """ε = 100 · ∫|ρ₁ − ρ₂| dr / N_el in percent, from values (P,) in e/bohr³ on the grid's points.

    Raises
    ------
    ValueError
        If the values do not belong to this grid.
    """
    if first.shape != second.shape or first.shape != grid.weights.shape:
        raise ValueError(f"values {tuple(first.shape)} and {tuple(second.shape)} on {len(grid.weights)} points")
    return 100.0 * float(grid.integrate((first - second).abs())) / electrons


def _overlap(first: Density, second: Density) -> float:
    return float(overlap_integral(first.shells, first.coefficients, second.shells, second.coefficients))
