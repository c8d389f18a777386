"""Exponents of a density basis by gradient, so that the floor falls."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from densitylab.density import GaussianBasis, Shells
from densitylab.labels.floor import Sample, floor

_CLOSEST = 1.5  # ratio of neighbouring exponents; closer ones share a density as two huge numbers that nobody learns
_REPULSION = 20.0  # percent per squared logarithm that is missing to it


def optimise(
    basis: GaussianBasis, samples: list[Sample], steps: int, tempered: bool = False, fixed: Collection[str] = ()
) -> GaussianBasis:
    """Move the exponents of every element downhill in the mean floor (L-BFGS on their logarithms), none too close.

    ``tempered`` keeps the exponents of each element and l even-tempered: two parameters for all of them. Elements that
    are ``fixed`` stay as they are.
    """
    from scipy.optimize import minimize

    keys = [(symbol, i) for symbol in basis.symbols for i in range(len(basis.of(symbol)))]
    exponents = np.array([basis.of(symbol)[i][1] for symbol, i in keys])
    start = np.log(exponents)
    free = np.array([symbol not in fixed for symbol, _ in keys])
    groups = [group for group in _groups(basis, keys) if free[group].all()]
    directions = _tempered(groups, len(keys)) if tempered else np.eye(len(keys))[:, free]
    layouts = [_layout(basis, keys, given) for given in samples]

    def at(parameters: np.ndarray) -> np.ndarray:
        return np.where(free, directions @ parameters, start)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _mean_floor(at(parameters), free, samples, layouts)
        price, slope = _crowding(at(parameters), groups)
        return value + price, directions.T @ (gradient + slope)

    first = np.linalg.lstsq(directions, start, rcond=None)[0]
    result = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return _with_exponents(basis, keys, np.where(free, np.exp(at(result.x)), exponents))


def _mean_floor(
    logarithms: np.ndarray, free: np.ndarray, samples: list[Sample], layouts: list[tuple[Shells, np.ndarray]]
) -> tuple[float, np.ndarray]:
    """Mean floor and its derivative with respect to every ln α that is ``free``."""
    value, gradient = 0.0, np.zeros(len(logarithms))
    for given, (template, owners) in zip(samples, layouts, strict=True):
        own = torch.as_tensor(logarithms[owners]).requires_grad_()
        error = floor(
            Shells(template.centers, own.detach().exp(), template.l), given, own, torch.as_tensor(free[owners])
        )
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
