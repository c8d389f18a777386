"""From the fit of a whole density ρ to that of Δρ = ρ − ρ⁰, without orbitals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from densitylab.density import Density, GaussianBasis, Prior, Shells
from densitylab.labels.constraints import constraint_rows
from densitylab.labels.fit import METRICS, Fit, FitSettings, solve

if TYPE_CHECKING:
    from ase import Atoms


def subtract_prior(fit: Fit, atoms: Atoms, basis: GaussianBasis, prior: Prior, settings: FitSettings) -> Fit:
    """The fit that Δρ would have: a fit is linear, so it is the fit of ρ minus the fit of ρ⁰.

    ρ⁰ in s-functions of ``basis`` itself (``prior=isolated`` with ``basis=rackers2023``) is its own fit; any other is
    fitted like the density was, in the same metric under the same constraints.
    """
    reference = prior.density(atoms)
    if not prior.atoms:
        return fit
    own = _own(atoms, basis, prior)
    if own is None:
        own = _fitted(reference, basis.shells(atoms), settings)
    return Fit(fit.coefficients - own)


def _own(atoms: Atoms, basis: GaussianBasis, prior: Prior) -> np.ndarray | None:
    """(F,) the prior's own coefficients; None if the basis lacks one of its functions."""
    rows = {}
    for symbol in set(atoms.symbols):
        places, row = {}, np.zeros(basis.size(symbol))
        first = 0
        for l, exponent in basis.of(symbol):
            places[l, exponent] = first
            first += 2 * l + 1
        for exponent, coefficient in prior.atoms[symbol]:
            if (0, exponent) not in places:
                return None
            row[places[0, exponent]] += coefficient
        rows[symbol] = row
    return np.concatenate([rows[symbol] for symbol in atoms.symbols])


def _fitted(reference: Density, shells: Shells, settings: FitSettings) -> np.ndarray:
    metric, _ = METRICS[settings.metric]
    nuclei = reference.nuclei.positions
    known = reference.coefficients.numpy()
    targets = constraint_rows(settings.constraints, reference.shells, nuclei) @ known
    projections = metric(shells, reference.shells).numpy() @ known
    rows = constraint_rows(settings.constraints, shells, nuclei)
    return solve(metric(shells).numpy(), projections, rows, targets)[0]
