"""Design of a density basis: shells by pruning, exponents by gradient, so that the floor falls for a given size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from ase import Atoms

from densitylab.density import GaussianBasis
from densitylab.density.basis import LETTERS
from densitylab.density.integrals import coulomb
from densitylab.labels.exponents import optimise
from densitylab.labels.floor import Sample


def cheapest_shell(basis: GaussianBasis, samples: list[Sample], fixed: Collection[str] = ()) -> tuple[str, int]:
    """Element and index of the shell whose loss costs least Coulomb energy per function: cᵀ [(J⁻¹)_shell]⁻¹ c.

    Shells of elements that are ``fixed`` are not for sale.
    """
    costs: dict[tuple[str, int], float] = {}
    for given in samples:
        shells = basis.shells(given.atoms)
        inverse = torch.linalg.inv(coulomb(shells))
        coefficients = inverse @ (coulomb(shells, given.dense.shells) @ given.dense.coefficients)
        owners = [(symbol, i) for symbol in given.atoms.symbols for i in range(len(basis.of(symbol)))]
        for owner, offset, l in zip(owners, shells.offsets.tolist(), shells.l.tolist(), strict=True):
            if owner[0] in fixed:
                continue
            own = slice(offset, offset + 2 * l + 1)
            cost = coefficients[own] @ torch.linalg.solve(inverse[own, own], coefficients[own])
            costs[owner] = costs.get(owner, 0.0) + float(cost) / (2 * l + 1)
    return min(costs, key=lambda owner: costs[owner])


def design(
    basis: GaussianBasis, samples: list[Sample], formula: Atoms, functions: int, steps: int, tempered: bool = False,
    fixed: Collection[str] = (), report: Callable[[GaussianBasis], None] = lambda basis: None,
) -> GaussianBasis:  # fmt: skip
    """Prune ``basis`` shell by shell to at most ``functions`` functions in ``formula``, exponents optimised on the way.

    ``steps`` of L-BFGS follow the last shell, a quarter of them every tenth of the functions before; ``report`` is
    given every basis that has been optimised. Elements that are ``fixed`` keep their shells.
    """
    basis = optimise(basis, samples, steps // 4, tempered, fixed)
    report(basis)
    while size(basis, formula) > functions:
        goal = max(functions, round(0.9 * size(basis, formula)))
        while size(basis, formula) > goal:
            basis = _without(basis, *cheapest_shell(basis, samples, fixed))
        basis = optimise(basis, samples, steps if goal == functions else steps // 4, tempered, fixed)
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


def _without(basis: GaussianBasis, symbol: str, index: int) -> GaussianBasis:
    kept = tuple(shell for i, shell in enumerate(basis.of(symbol)) if i != index)
    return GaussianBasis(basis.name, {**basis.elements, symbol: kept})
