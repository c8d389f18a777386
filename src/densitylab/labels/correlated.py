"""Møller-Plesset and coupled-cluster calculations (PySCF): energies, gradient and one-particle density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from densitylab.labels.level import LabelError, Level

_EMPTY = 1e-10  # natural orbitals with fewer electrons than this are not kept


@dataclass(frozen=True)
class Correlated:
    """What correlation adds to a Hartree-Fock calculation.

    Attributes
    ----------
    energies: hartree: of HF, MP2 and, as far as the level goes or nearly comes for free, CCSD and CCSD(T).
    gradient: (A, 3), hartree/bohr, ∂E/∂R.
    matrices: (AO, AO) one-particle density matrix, or (2, AO, AO) of α and β.
    """

    energies: dict[str, float]
    gradient: np.ndarray
    matrices: np.ndarray


def correlate(mean_field: Any, level: Level) -> Correlated:
    """Run the ``correlation`` of ``level`` on a converged Hartree-Fock solver.

    The density is the relaxed one, Z-vector included, or the expectation value with fixed orbitals (for coupled
    cluster with the Λ amplitudes: Stanton and Gauss, 1994). Frozen core orbitals take part in the response.

    Raises
    ------
    LabelError
        If the amplitudes do not converge.
    """
    energies, gradient, unrelaxed = (_mp2 if level.correlation == "MP2" else _coupled_cluster)(mean_field, level)
    slope, response = _with_response(mean_field, gradient)
    matrices = np.asarray(mean_field.make_rdm1()) + response if level.relaxed else np.asarray(unrelaxed())
    return Correlated(energies, slope, matrices)


def natural_orbitals(matrices: np.ndarray, overlap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orbitals (AO, N) and occupations (N,), falling, of a density matrix; α then β if ``matrices`` are two.

    Occupations of a relaxed or coupled-cluster density may be slightly negative or above 2.
    """
    if matrices.ndim == 3:
        both = [natural_orbitals(matrix, overlap) for matrix in matrices]
        return np.concatenate([o for o, _ in both], axis=1), np.concatenate([n for _, n in both])
    values, vectors = np.linalg.eigh(overlap)
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    occupations, rotated = np.linalg.eigh(root @ (matrices + matrices.T) @ root / 2)
    kept = np.abs(occupations) > _EMPTY
    return (inverse @ rotated[:, kept])[:, ::-1], occupations[kept][::-1]


def _mp2(mean_field: Any, level: Level) -> tuple[dict[str, float], Callable[[], np.ndarray], Callable[[], Any]]:
    from pyscf import mp

    solver = mp.MP2(mean_field)
    _freeze(solver, level)
    solver.kernel()
    energies = {"HF": float(mean_field.e_tot), "MP2": float(solver.e_tot)}
    return energies, solver.nuc_grad_method().kernel, lambda: solver.make_rdm1(ao_repr=True)


def _coupled_cluster(
    mean_field: Any, level: Level
) -> tuple[dict[str, float], Callable[[], np.ndarray], Callable[[], Any]]:
    from pyscf import cc

    solver = cc.CCSD(mean_field)
    _freeze(solver, level)
    solver.conv_tol = level.energy_tolerance_hartree
    solver.conv_tol_normt = solver.conv_tol**0.5 / 10
    integrals = solver.ao2mo()
    solver.kernel(eris=integrals)
    if not solver.converged:
        raise LabelError(f"the coupled-cluster amplitudes did not converge in {solver.max_cycle} cycles")
    energies = {"HF": float(solver.e_hf), "MP2": float(solver.e_hf + solver.emp2), "CCSD": float(solver.e_tot)}
    energies["CCSD(T)"] = energies["CCSD"] + float(solver.ccsd_t(eris=integrals))
    if level.correlation == "CCSD(T)":
        return energies, *_with_triples(solver, integrals)
    solver.solve_lambda(eris=integrals)
    _require_lambda(solver.converged_lambda)
    gradient = solver.nuc_grad_method()
    return energies, lambda: gradient.kernel(eris=integrals), lambda: solver.make_rdm1(ao_repr=True)


def _with_triples(solver: Any, integrals: Any) -> tuple[Callable[[], np.ndarray], Callable[[], Any]]:
    from pyscf.cc import ccsd_t_lambda, ccsd_t_rdm, uccsd
    from pyscf.grad import ccsd_t

    if isinstance(solver, uccsd.UCCSD):  # PySCF 2.14: forces of OH off by 5e-5 hartree/bohr, dipole by 3e-4 e·bohr
        raise LabelError("the open-shell CCSD(T) gradient of PySCF is not exact; CCSD labels have the CCSD(T) energy")
    amplitudes = solver.t1, solver.t2
    converged, *lambda_amplitudes = ccsd_t_lambda.kernel(solver, integrals, *amplitudes, verbose=0)
    _require_lambda(converged)
    everything = *amplitudes, *lambda_amplitudes
    gradient = ccsd_t.Gradients(solver)
    return (
        lambda: gradient.kernel(*everything, eris=integrals),
        lambda: ccsd_t_rdm.make_rdm1(solver, *everything, eris=integrals, ao_repr=True),
    )


def _with_response(mean_field: Any, gradient: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The gradient, and the correlation and orbital response that it adds to the Hartree-Fock density matrix.

    PySCF computes the relaxed density but does not hand it out. The last density whose potential a gradient asks for
    is D + Dᵀ of that addition, so we listen.
    """
    potential, last = mean_field.get_veff, np.empty(0)

    def get_veff(mole: Any = None, matrices: Any = None, *more: Any, **named: Any) -> Any:
        nonlocal last
        last = np.array(matrices)
        return potential(mole, matrices, *more, **named)

    mean_field.get_veff = get_veff
    try:
        return gradient(), last / 2
    finally:
        mean_field.get_veff = potential


def _freeze(solver: Any, level: Level) -> None:
    if level.frozen_core:
        solver.set_frozen()


def _require_lambda(converged: bool) -> None:
    if not converged:
        raise LabelError("the Λ amplitudes of coupled cluster did not converge")
