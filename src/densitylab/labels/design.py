"""Design of a density basis: exponents by gradient, shells by pruning, so that the floor falls for a given size.

The floor is what :func:`densitylab.labels.fit.fit_density` leaves: ε between orbital density and charge-constrained
Coulomb fit. Its derivative with respect to every exponent is exact to first order: integrals are differentiated by
central differences of the shells they belong to, the rest by autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from densitylab.density import Density, GaussianBasis, Prior, Shells
from densitylab.density.basis import LETTERS, even_tempered
from densitylab.density.grid import Grid, atom_centered
from densitylab.density.integrals import coulomb
from densitylab.density.shells import evaluate
from densitylab.labels.calculation import Calculation
from densitylab.labels.fit import FitSettings, fit_density
from densitylab.structures import electrons

_STEP = 1e-4  # of the logarithm of an exponent: central differences are good to 1e-8 of a derivative
_CLOSEST = 1.5  # ratio of neighbouring exponents; closer ones share a density as two huge numbers that nobody learns
_REPULSION = 20.0  # percent per squared logarithm that is missing to it
_SMALLEST_EIGENVALUE = 1e-10  # added to the metric, where a fit drops such directions


@dataclass(frozen=True)
class Sample:
    """One density to be represented.

    Attributes
    ----------
    atoms: the structure, Å.
    grid: on which ε is measured.
    values: (P,) Δρ = ρ_SCF − ρ⁰ from the orbitals, e/bohr³.
    dense: Δρ in a basis so large that its Coulomb projections are those of the orbitals.
    """

    atoms: Atoms
    grid: Grid
    values: Tensor
    dense: Density


def sample(calculation: Calculation, prior: Prior, grid_level: int = 1, beta: float = 1.7) -> Sample:
    """Prepare a calculation. ``beta``: ratio of the exponents of the large basis that stands for the orbitals."""
    atoms = calculation.atoms
    large = even_tempered(calculation.level.basis, set(atoms.symbols), beta)
    fit = fit_density(calculation, large, prior, FitSettings(grid_level=0))
    grid = atom_centered(atoms, grid_level)
    values = calculation.density_values(grid.points) - prior.density(atoms).values(grid.points)
    return Sample(atoms, grid, values, Density.from_basis(large, atoms, torch.as_tensor(fit.coefficients)))


def floor(shells: Shells, given: Sample, logarithms: Tensor | None = None) -> Tensor:
    """ε in percent of the best fit of ``given`` in ``shells``; differentiable in ``logarithms`` (S,) = ln α."""
    logarithms = shells.exponents.log() if logarithms is None else logarithms
    metric, projections = _differentiable(shells, given.dense, logarithms)
    moving = Shells(shells.centers, logarithms.exp(), shells.l)
    charges = moving.charges()
    free, response = torch.linalg.solve(metric, torch.stack([projections, charges], dim=1)).unbind(1)
    missing = given.dense.electrons() - charges @ free
    coefficients = free + response * missing / (charges @ response)
    error = evaluate(moving, coefficients, given.grid.points) - given.values
    return 100 * given.grid.integrate(error.abs()) / electrons(given.atoms)


def _differentiable(shells: Shells, dense: Density, logarithms: Tensor) -> tuple[Tensor, Tensor]:
    """Coulomb matrix (F, F) and projections (F,), right in value and first derivative at the shells' exponents."""
    change = torch.repeat_interleave(logarithms - logarithms.detach(), 2 * shells.l + 1)

    def slope(ket: Shells) -> Tensor:
        plus, minus = (Shells(shells.centers, shells.exponents * np.exp(s), shells.l) for s in (_STEP, -_STEP))
        return (coulomb(plus, ket) - coulomb(minus, ket)) / (2 * _STEP)

    rows = change[:, None] * slope(shells)
    projections = (coulomb(shells, dense.shells) + change[:, None] * slope(dense.shells)) @ dense.coefficients
    ridge = _SMALLEST_EIGENVALUE * torch.eye(shells.size, dtype=torch.float64)
    return coulomb(shells) + ridge + rows + rows.T, projections


def optimise(basis: GaussianBasis, samples: list[Sample], steps: int, tempered: bool = False) -> GaussianBasis:
    """Move the exponents of every element downhill in the mean floor (L-BFGS on their logarithms), none too close.

    ``tempered`` keeps the exponents of each element and l even-tempered: two parameters for all of them.
    """
    from scipy.optimize import minimize

    keys = [(symbol, i) for symbol in basis.symbols for i in range(len(basis.of(symbol)))]
    start = np.log([basis.of(symbol)[i][1] for symbol, i in keys])
    groups = _groups(basis, keys)
    directions = _tempered(groups, len(keys)) if tempered else np.eye(len(keys))
    layouts = [_layout(basis, keys, given) for given in samples]

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _mean_floor(directions @ parameters, samples, layouts)
        price, slope = _crowding(directions @ parameters, groups)
        return value + price, directions.T @ (gradient + slope)

    first = np.linalg.lstsq(directions, start, rcond=None)[0]
    result = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return _with_exponents(basis, keys, np.exp(directions @ result.x))


def cheapest_shell(basis: GaussianBasis, samples: list[Sample]) -> tuple[str, int]:
    """Element and index of the shell whose loss costs least Coulomb energy per function: cᵀ [(J⁻¹)_shell]⁻¹ c."""
    costs: dict[tuple[str, int], float] = {}
    for given in samples:
        shells = basis.shells(given.atoms)
        inverse = torch.linalg.inv(coulomb(shells))
        coefficients = inverse @ (coulomb(shells, given.dense.shells) @ given.dense.coefficients)
        owners = [(symbol, i) for symbol in given.atoms.symbols for i in range(len(basis.of(symbol)))]
        for owner, offset, l in zip(owners, shells.offsets.tolist(), shells.l.tolist(), strict=True):
            own = slice(offset, offset + 2 * l + 1)
            cost = coefficients[own] @ torch.linalg.solve(inverse[own, own], coefficients[own])
            costs[owner] = costs.get(owner, 0.0) + float(cost) / (2 * l + 1)
    return min(costs, key=lambda owner: costs[owner])


def design(
    basis: GaussianBasis, samples: list[Sample], formula: Atoms, functions: int, steps: int, tempered: bool = False,
    report: Callable[[GaussianBasis], None] = lambda basis: None,
) -> GaussianBasis:  # fmt: skip
    """Prune ``basis`` shell by shell to at most ``functions`` functions in ``formula``, exponents optimised on the way.

    ``steps`` of L-BFGS follow the last shell, a quarter of them every tenth of the functions before; ``report`` is
    given every basis that has been optimised.
    """
    basis = optimise(basis, samples, steps // 4, tempered)
    report(basis)
    while size(basis, formula) > functions:
        goal = max(functions, round(0.9 * size(basis, formula)))
        while size(basis, formula) > goal:
            basis = _without(basis, *cheapest_shell(basis, samples))
        basis = optimise(basis, samples, steps if goal == functions else steps // 4, tempered)
        report(basis)
    return basis


def size(basis: GaussianBasis, formula: Atoms) -> int:
    """Number of functions of a molecule."""
    return sum(basis.size(symbol) for symbol in formula.symbols)


def as_shells(basis: GaussianBasis) -> Mapping[str, Mapping[str, list[float]]]:
    """What :func:`densitylab.density.basis.from_shells` reads: symbol → letter of the shell → exponents."""
    return {
        symbol: {
            LETTERS[l]: [float(f"{a:.4g}") for other, a in basis.of(symbol) if other == l]
            for l in sorted({l for l, _ in basis.of(symbol)})
        }
        for symbol in basis.symbols
    }


def _mean_floor(
    logarithms: np.ndarray, samples: list[Sample], layouts: list[tuple[Shells, np.ndarray]]
) -> tuple[float, np.ndarray]:
    """Mean floor and its derivative with respect to every ln α."""
    value, gradient = 0.0, np.zeros(len(logarithms))
    for given, (template, owners) in zip(samples, layouts, strict=True):
        own = torch.as_tensor(logarithms[owners]).requires_grad_()
        error = floor(Shells(template.centers, own.detach().exp(), template.l), given, own)
        (slope,) = torch.autograd.grad(error, own)
        value += error.item() / len(samples)
        np.add.at(gradient, owners, slope.numpy() / len(samples))
    return value, gradient


def _layout(basis: GaussianBasis, keys: list[tuple[str, int]], given: Sample) -> tuple[Shells, np.ndarray]:
    """The shells of a structure, and which of ``keys`` each of them is."""
    position = {key: index for index, key in enumerate(keys)}
    owners = [position[symbol, i] for symbol in given.atoms.symbols for i in range(len(basis.of(symbol)))]
    return basis.shells(given.atoms), np.array(owners)


def _crowding(logarithms: np.ndarray, groups: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Price of exponents of one element and l that are closer than ``_CLOSEST``, and its derivative."""
    price, slope = 0.0, np.zeros(len(logarithms))
    for group in groups:
        falling = group[np.argsort(-logarithms[group])]
        missing = np.maximum(0, np.log(_CLOSEST) + np.diff(logarithms[falling]))
        price += _REPULSION * float(missing @ missing)
        slope[falling[1:]] += 2 * _REPULSION * missing
        slope[falling[:-1]] -= 2 * _REPULSION * missing
    return price, slope


def _groups(basis: GaussianBasis, keys: list[tuple[str, int]]) -> list[np.ndarray]:
    """Indices of the shells of every element and l, exponents falling."""
    kinds = [(symbol, basis.of(symbol)[i][0]) for symbol, i in keys]
    return [np.array([i for i, other in enumerate(kinds) if other == kind]) for kind in dict.fromkeys(kinds)]


def _tempered(groups: list[np.ndarray], number: int) -> np.ndarray:
    """(S, parameters) of ln α = a + b·k, k counting the shells of one element and l."""
    columns = []
    for group in groups:
        first, ratio = np.zeros((2, number))
        first[group], ratio[group] = 1, np.arange(len(group))
        columns += [first, ratio] if len(group) > 1 else [first]
    return np.stack(columns, axis=1)


def _with_exponents(basis: GaussianBasis, keys: list[tuple[str, int]], exponents: np.ndarray) -> GaussianBasis:
    shells: dict[str, list[tuple[int, float]]] = {symbol: [] for symbol in basis.symbols}
    for (symbol, i), exponent in zip(keys, exponents.tolist(), strict=True):
        shells[symbol].append((basis.of(symbol)[i][0], exponent))
    return GaussianBasis(basis.name, {symbol: tuple(own) for symbol, own in shells.items()})


def _without(basis: GaussianBasis, symbol: str, index: int) -> GaussianBasis:
    kept = tuple(shell for i, shell in enumerate(basis.of(symbol)) if i != index)
    return GaussianBasis(basis.name, {**basis.elements, symbol: kept})
