"""Electrostatics of whole molecules: nuclei and electrons together. Atomic units.

Electrons are negative, so the potential of a density is V(R) = Σ Z_A / |R − R_A| − ∫ρ(r) / |r − R| dr.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from densitylab.density.at_points import potential
from densitylab.density.bilinear import coulomb_energy
from densitylab.density.tiles import check_points

if TYPE_CHECKING:
    from densitylab.density.density import Density
    from densitylab.density.nuclei import Nuclei

_PAIRS = 2**20  # of points and nuclei at a time


def total_potential(density: Density, points: Tensor, derivative: int = 0, tolerance: float = 1e-12) -> Tensor:
    """(P,) V at ``points`` (P, 3), hartree/e, or its first (P, 3) or second (P, 3, 3) derivatives.

    At a nucleus (to rounding), that nucleus is left out. ``tolerance``: :func:`densitylab.density.at_points.potential`.
    Raises ``ValueError`` for another derivative.
    """
    if derivative not in (0, 1, 2):
        raise ValueError(f"derivative {derivative} of the potential; there are 0, 1 and 2")
    electrons = potential(density.shells, density.coefficients, points, derivative, tolerance)
    return nuclear_potential(density.nuclei, points, derivative) - electrons


def nuclear_potential(nuclei: Nuclei, points: Tensor, derivative: int = 0) -> Tensor:
    """The share of the nuclei in :func:`total_potential`."""
    check_points(points)
    step = max(1, _PAIRS // max(1, len(nuclei.charges)))
    parts = [_of_point_charges(nuclei, block, derivative) for block in points.split(step)]
    return torch.cat(parts) if parts else points.new_zeros(0, *(3,) * derivative)


def hellmann_feynman(density: Density) -> Tensor:
    """(A, 3) electrostatic forces on the nuclei, Z_A E(R_A), hartree/bohr (Feynman, Phys. Rev. 56, 340 (1939)).

    They are the forces of the Born-Oppenheimer surface only if ρ is right also close to the nuclei: fit with
    ``constraints=[charge, field]``, in an orbital basis made for it (shared/FACTS.md §0).
    """
    return -density.nuclei.charges[:, None] * total_potential(density, density.nuclei.positions, derivative=1)


def long_range_forces(density: Density, groups: Sequence[int] | np.ndarray | Tensor, radius: float) -> Tensor:
    """(A, 3) Hellmann-Feynman forces by all groups of atoms that are farther than ``radius`` (bohr), hartree/bohr.

    Distances are those between centres of nuclear charge; functions belong to the nearest nucleus.

    Parameters
    ----------
    groups: (A,) number of the group of every atom, from 0 without gaps: molecules
        (:func:`densitylab.structures.bonds.molecules`), or every atom by itself (``range(A)``), the cut of Rackers
        2023, which slices molecules into charged pieces.

    Raises
    ------
    ValueError
        If ``groups`` are something else.
    """
    nuclei, owner, forces = density.nuclei, density.owners(), hellmann_feynman(density)
    groups = torch.as_tensor(groups, dtype=torch.long, device=forces.device)
    if groups.shape != nuclei.charges.shape or not torch.equal(
        groups.unique().cpu(), torch.arange(int(groups.max()) + 1)
    ):
        raise ValueError(f"groups must be {len(nuclei.charges)} numbers, one per nucleus, counted from 0 without gaps")
    centers = _centers(nuclei, groups).detach().cpu().numpy()
    for group, close in enumerate(cKDTree(centers).query_ball_point(centers, radius)):
        own = torch.nonzero(groups == group).flatten()
        around = density.of_atoms(torch.isin(groups, torch.tensor(close, device=groups.device)), owner)
        gradient = total_potential(around, nuclei.positions[own], derivative=1)
        forces = forces.index_add(0, own, nuclei.charges[own, None] * gradient)
    return forces


def _centers(nuclei: Nuclei, groups: Tensor) -> Tensor:
    """(G, 3) centres of nuclear charge, bohr."""
    weights = nuclei.charges[:, None] + 1e-12  # ghosts have a place, but no charge
    weighted = torch.cat([weights * nuclei.positions, weights], dim=1)
    sums = weighted.new_zeros(int(groups.max()) + 1, 4).index_add(0, groups, weighted)
    return sums[:, :3] / sums[:, 3:]


def interaction_energy(first: Density, second: Density) -> Tensor:
    """Electrostatic energy between two molecules, nuclei and unchanged densities, hartree (a scalar).

    The electrostatic term of an intermolecular energy, penetration included.
    """
    nuclear = first.nuclei.charges @ total_potential(second, first.nuclei.positions)
    attraction = second.nuclei.charges @ potential(first.shells, first.coefficients, second.nuclei.positions)
    return nuclear - attraction + coulomb_energy(first.shells, first.coefficients, second.shells, second.coefficients)


def self_repulsion(density: Density) -> Tensor:
    """½ ∬ ρ(r) ρ(r') / |r − r'| dr dr', hartree (a scalar)."""
    return 0.5 * coulomb_energy(density.shells, density.coefficients, density.shells, density.coefficients)


def _of_point_charges(nuclei: Nuclei, points: Tensor, derivative: int) -> Tensor:
    d = points[:, None] - nuclei.positions
    squared = d.square().sum(-1)
    largest = float(nuclei.positions.detach().abs().max()) if len(nuclei.positions) else 0.0
    rounding = 4 * torch.finfo(points.dtype).eps * max(1.0, largest)
    elsewhere = squared > rounding**2
    inverse = torch.where(elsewhere, squared, 1.0) ** -0.5 * elsewhere
    if derivative == 0:
        return inverse @ nuclei.charges
    if derivative == 1:
        return -torch.einsum("pa,pai,a->pi", inverse**3, d, nuclei.charges)
    unit = torch.eye(3).to(points) * (inverse**3 @ nuclei.charges)[:, None, None]
    return 3 * torch.einsum("pa,pai,paj,a->pij", inverse**5, d, d, nuclei.charges) - unit
