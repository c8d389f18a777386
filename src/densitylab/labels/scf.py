"""Calculations (PySCF): self-consistent field, dispersion, and what stands on them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from densitylab.labels.calculation import Calculation, versions
from densitylab.labels.correlated import correlate, natural_orbitals
from densitylab.labels.level import LabelError, Level, molecule
from densitylab.structures import check

if TYPE_CHECKING:
    from ase import Atoms

Engine = Literal["pyscf", "gpu4pyscf"]


def calculate(atoms: Atoms, level: Level, engine: Engine = "pyscf") -> Calculation:
    """Run the calculation.

    Parameters
    ----------
    engine: ``gpu4pyscf`` runs the SCF and its gradient on a GPU: the same numbers to 1e-6 hartree.

    Raises
    ------
    StructureError
        If the structure is not one (:func:`densitylab.structures.check`).
    LabelError
        If PySCF does not know the level, something does not converge, or the engine is not there.
    """
    check(atoms)
    if level.program != "pyscf":
        raise LabelError(f"{level} of {level.program} can be imported, not calculated here")
    start = time.perf_counter()
    solver = _on(engine, _solver(molecule(atoms, level), level))
    solver.kernel()
    if not solver.converged:
        raise LabelError(f"the SCF did not converge in {solver.max_cycle} cycles")
    results = _correlated(solver, level) if level.correlation else _mean_field(solver, level)
    return Calculation(
        atoms, level, **results, seconds=time.perf_counter() - start, programs=versions("pyscf", "numpy", engine)
    )


def _mean_field(solver: Any, level: Level) -> dict[str, Any]:
    energies = {level.functional: float(solver.e_tot)}
    if level.dispersion:
        energies["dispersion"] = float(solver.get_dispersion())
    gradient = _on_cpu(solver.nuc_grad_method().kernel())
    solver = solver.to_cpu() if hasattr(solver, "to_cpu") else solver
    orbitals, occupations = _occupied(solver)
    return {
        "energy": energies[level.functional],
        "energies": energies,
        "forces": -gradient,
        "dipole": solver.dip_moment(unit="au", verbose=0),
        "orbitals": orbitals,
        "occupations": occupations,
    }


def _correlated(solver: Any, level: Level) -> dict[str, Any]:
    result = correlate(solver, level)
    orbitals, occupations = natural_orbitals(result.matrices, solver.get_ovlp())
    return {
        "energy": result.energies[str(level.correlation)],
        "energies": result.energies,
        "forces": -result.gradient,
        "dipole": solver.dip_moment(dm=result.matrices, unit="au", verbose=0),
        "orbitals": orbitals,
        "occupations": occupations,
    }


def _solver(mole: Any, level: Level) -> Any:
    from pyscf import dft, scf

    if level.functional.upper() == "HF":
        solver = scf.HF(mole)
    else:
        try:
            dft.libxc.parse_xc(level.functional)
        except KeyError:
            raise LabelError(f"PySCF knows no functional called {level.functional}") from None
        solver = dft.KS(mole, xc=level.functional)
        solver.grids.level = level.grid_level
    solver.chkfile = None  # one more file that could fill a disk
    solver.conv_tol = level.energy_tolerance_hartree
    solver = solver.density_fit() if level.density_fit else solver
    return _dispersed(solver, level)


def _dispersed(solver: Any, level: Level) -> Any:
    if level.dispersion:
        try:
            import pyscf.dispersion  # noqa: F401
        except ImportError:
            raise LabelError("dispersion needs another package: pip install 'densitylab[dispersion]'") from None
        solver.disp = level.dispersion
        try:
            solver.get_dispersion()
        except (KeyError, NotImplementedError, RuntimeError, ValueError) as error:
            raise LabelError(f"no {level.dispersion} dispersion for {level.functional}: {error}") from None
    return solver


def _on(engine: Engine, solver: Any) -> Any:
    """The solver where the engine runs it."""
    if engine == "pyscf":
        return solver
    try:
        import gpu4pyscf  # noqa: F401

        return solver.to_gpu()
    except Exception as error:  # no package, no CUDA, no GPU: each has an exception of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabelError(f"labels.engine=gpu4pyscf cannot run here ({reason}); it needs a GPU and gpu4pyscf") from None


def _on_cpu(array: Any) -> np.ndarray:
    return np.asarray(array.get() if hasattr(array, "get") else array)


def _occupied(solver: Any) -> tuple[np.ndarray, np.ndarray]:
    coefficients, occupations = np.asarray(solver.mo_coeff), np.asarray(solver.mo_occ)
    if coefficients.ndim == 3:  # open shell: α and β side by side
        coefficients, occupations = np.concatenate(list(coefficients), axis=1), occupations.ravel()
    chosen = occupations > 0
    return np.ascontiguousarray(coefficients[:, chosen]), occupations[chosen]
