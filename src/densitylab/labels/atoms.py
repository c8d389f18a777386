"""Spherical atoms at a level of theory, re-expanded in s-functions: the material of the prior."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers, ground_state_magnetic_moments

from densitylab.density import GaussianBasis, Prior, from_basis_set_exchange
from densitylab.density.shells import norm
from densitylab.keys import fingerprint
from densitylab.labels.claims import claim_in_turn
from densitylab.labels.fit import FitSettings, fit_density
from densitylab.labels.level import LabelError, Level, molecule
from densitylab.labels.scf import calculate
from densitylab.structures import prepare

if TYPE_CHECKING:
    from densitylab.labels.store import Store

_NONE = Prior.none()


def no_prior(symbols: set[str], level: Level, store: Store) -> Prior:
    """The empty prior: the network learns ρ itself."""
    return _NONE


def superposed_atoms(symbols: set[str], level: Level, store: Store, beta: float = 1.4) -> Prior:
    """SAD: spherically averaged, fractionally occupied, restricted atoms at ``level``.

    Atoms are computed once and kept in ``store``, so that every fit of a store stands on the same numbers. ``beta`` is
    the ratio of the s-exponents; 1.4 re-expands H to Cl with ε ≤ 0.02 % in the aug-cc and def2 sets.

    Raises
    ------
    LabelError
        If PySCF does not know the level for an element.
    """
    atoms = {
        symbol: _stored(
            store, ["superposed atom", symbol, level.hash, beta], symbol, level, partial(spherical_atom, beta=beta)
        )
        for symbol in sorted(symbols)
    }
    return Prior(f"SAD {level}", atoms)


def isolated_atoms(symbols: set[str], level: Level, store: Store, basis_set: str) -> Prior:
    """The baseline of Rackers 2023: unrestricted ground-state atoms at ``level``, in the s-functions of a basis.

    Charge-constrained Coulomb fit: the atoms hold exactly Z electrons. Because the functions are those of the density
    basis, subtracting this prior before or after the fit is the same.

    Raises
    ------
    LabelError, BasisError
        If PySCF does not know the level, or ``basis_set`` the element.
    """
    atoms = {
        symbol: _stored(
            store,
            ["isolated atom", symbol, level.hash, basis_set],
            symbol,
            level,
            partial(isolated_atom, basis_set=basis_set),
        )
        for symbol in sorted(symbols)
    }
    return Prior(f"isolated atoms {level}", atoms)


def isolated_atom(symbol: str, level: Level, basis_set: str) -> tuple[np.ndarray, np.ndarray]:
    """Exponents (n,) and coefficients (n,) of the s-functions of ``basis_set`` for the unrestricted atom."""
    level = replace(level, program="pyscf")  # imported or not, an atom at this level is made here
    multiplicity = round(ground_state_magnetic_moments[atomic_numbers[symbol]]) + 1
    atom = prepare(Atoms(symbol, positions=[[0, 0, 0]]), multiplicity=multiplicity)
    shells = from_basis_set_exchange(basis_set, [symbol]).of(symbol)
    s_only = GaussianBasis(basis_set, {symbol: tuple(shell for shell in shells if shell[0] == 0)})
    fit = fit_density(calculate(atom, level), s_only, Prior.none(), FitSettings())
    return np.array([alpha for _, alpha in s_only.of(symbol)]), fit.coefficients


def _stored(
    store: Store, identity: list[Any], symbol: str, level: Level, make: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> tuple[tuple[float, float], ...]:
    """The s-functions of an atom, computed on the first call and read from the store ever after."""
    key = fingerprint(identity)
    if not store.has("prior", key):
        store.check_writable()
        with claim_in_turn(store.path / "claims" / key):
            if not store.has("prior", key):  # another process may have been faster
                exponents, coefficients = make(symbol, level)
                arrays = {"exponents": exponents, "coefficients": coefficients}
                store.put("prior", key, arrays, {"identity": identity})
    arrays = store.get("prior", key).arrays
    return tuple(zip(arrays["exponents"].tolist(), arrays["coefficients"].tolist(), strict=True))


def spherical_atom(symbol: str, level: Level, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Exponents (n,) in bohr⁻² and coefficients (n,) of L2-normalised s-functions holding exactly Z electrons.

    PySCF's ``atom_ks``/``atom_hf`` recipe gives the density; the s-functions are fitted to it by least squares on a
    radial grid, with the electron number eliminated as an exact constraint.
    """
    radii, weights, density, smallest, largest, electrons = _radial_density(symbol, level)
    exponents = _even_tempered(1.5 * smallest, 2.0 * largest, beta)
    normalisation = norm(0, torch.as_tensor(exponents)).numpy() / math.sqrt(4 * math.pi)
    functions = normalisation * np.exp(-(radii[:, None] ** 2) * exponents)
    charges = normalisation * (math.pi / exponents) ** 1.5
    particular = charges * electrons / (charges @ charges)
    null_space = np.linalg.svd(charges[None])[2][1:].T
    root = np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(
        root * (functions @ null_space), root[:, 0] * (density - functions @ particular), rcond=1e-13
    )[0]
    return exponents, particular + null_space @ solution


def _even_tempered(first: float, last: float, beta: float) -> np.ndarray:
    number = math.ceil(math.log(last / first) / math.log(beta)) + 1
    return first * beta ** np.arange(number)


def _radial_density(symbol: str, level: Level) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float, int]:
    from pyscf.scf import atom_hf, atom_ks

    atom = molecule(prepare(Atoms(symbol, positions=[[0, 0, 0]])), level)
    try:
        if level.functional.upper() == "HF":
            result = atom_hf.get_atm_nrhf(atom)
        else:
            result = atom_ks.get_atm_nrks(atom, xc=level.functional)
    except (KeyError, RuntimeError, ValueError) as error:
        raise LabelError(f"PySCF has no spherical {symbol} at {level}: {error}") from None
    _, _, orbitals, occupations = result[symbol]
    logarithm = np.linspace(math.log(1e-6), math.log(40.0), 4000)
    radii = np.exp(logarithm)
    weights = 4 * math.pi * radii**3 * (logarithm[1] - logarithm[0])
    points = np.stack([0 * radii, 0 * radii, radii], axis=1)  # spherical: any direction will do
    density = (atom.eval_gto("GTOval_sph", points) @ orbitals) ** 2 @ occupations
    exponents = np.concatenate([atom.bas_exp(shell) for shell in range(atom.nbas)])
    return radii, weights, density, float(exponents.min()), float(exponents.max()), int(atom.nelectron)
