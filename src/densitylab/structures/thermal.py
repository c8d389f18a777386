"""Thermal snapshots and minima of molecules with GFN2-xTB: the geometries, not the labels.

GFN2-xTB (Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019)) knows all elements up to radon, charges
and spins, and takes milliseconds where density functional theory takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses

from densitylab.structures.bonds import molecules
from densitylab.structures.check import StructureError, prepare, within
from densitylab.structures.extras import extra
from densitylab.units import FEMTOSECOND_TO_ASE_TIME

_TIMESTEP_FS = 1.0  # O-H vibrates with a period of 9 fs: its amplitude comes out 7 % too large, all others less
_FRICTION_PER_FS = 0.01
_HOTTEST_K = 5000.0
_SAME_ANGSTROM = 0.01  # sorted distances of one minimum, found twice by a force field, differ by less


def thermal_set(
    start: Callable[[int], Atoms],
    name: str,
    number: int,
    snapshots: int = 10,
    temperatures_K: list[float] | None = None,
    interval_fs: float = 100.0,
    equilibration_ps: float = 0.5,
    seed: int = 0,
) -> list[Atoms]:
    """``number`` snapshots, ``snapshots`` of them from every trajectory, whose temperatures take turns.

    Trajectory ``t`` begins at ``start(seed + t)``; it is one group, ``<name>-<T>K-<seed + t>``. Without temperatures
    there is no dynamics: the ``number`` structures are the starts themselves, each a group of its own.

    Raises
    ------
    StructureError
        What :func:`trajectory` and :func:`~densitylab.structures.prepare` raise, numbers out of range, and starts that
        are copies of one another where there is no dynamics.
    """
    within("number", number, 1, 1_000_000)
    within("snapshots", snapshots, 1, 1_000_000)
    if not temperatures_K:
        found = [prepare(start(seed + t), group=f"{name}-{seed + t}") for t in range(number)]
        _refuse_copies(found, name)
        return found
    found = []
    for t in range(-(-number // snapshots)):
        kelvin, own_seed = temperatures_K[t % len(temperatures_K)], seed + t
        count = min(snapshots, number - len(found))
        group = f"{name}-{kelvin:g}K-{own_seed}"
        found += trajectory(start(own_seed), count, kelvin, own_seed, group, interval_fs, equilibration_ps)
    return found


def _refuse_copies(structures: list[Atoms], name: str) -> None:
    """A copy, turned or mirrored, on the other side of a split would be tested on what was trained."""
    from scipy.spatial.distance import pdist

    shapes = [np.sort(pdist(atoms.positions)) for atoms in structures]
    for i, shape in enumerate(shapes):
        if any(np.abs(shape - other).max(initial=0) < _SAME_ANGSTROM for other in shapes[:i]):
            raise StructureError(
                f"{name} has no {len(shapes)} different conformers: take fewer, or let temperatures_K distort them"
            )


def trajectory(
    start: Atoms,
    number: int,
    temperature_K: float,
    seed: int,
    group: str,
    interval_fs: float = 100.0,
    equilibration_ps: float = 0.5,
) -> list[Atoms]:
    """``number`` snapshots of Langevin dynamics in vacuum, every ``interval_fs`` after the equilibration.

    The friction, 10 per ps, heats the molecule from rest and makes it forget its velocities within 0.1 ps. Positions in
    Å about the centre of mass. The same seed gives the same snapshots on one machine; on another, chaos amplifies the
    rounding.

    Raises
    ------
    StructureError
        A temperature out of range, a self-consistent field that does not converge, or a molecule that broke apart (or
        two that joined): no such snapshot is ever returned.
    """
    from ase.md.langevin import Langevin

    within("temperature_K", temperature_K, 1, _HOTTEST_K)
    within("interval_fs", interval_fs, _TIMESTEP_FS, 1e6)
    within("equilibration_ps", equilibration_ps, 0, 1e6)
    atoms, whole = prepare(start, group=group), molecules(start)
    atoms.calc = calculator(atoms)
    dynamics = Langevin(
        atoms, _TIMESTEP_FS * FEMTOSECOND_TO_ASE_TIME, temperature_K=temperature_K, fixcm=False,
        friction=_FRICTION_PER_FS / FEMTOSECOND_TO_ASE_TIME, rng=np.random.default_rng(seed),
    )  # fmt: skip
    found = []
    for taken in range(number):
        duration_fs = interval_fs + (equilibration_ps * 1000 if taken == 0 else 0)
        with _one_thread():
            _converged(lambda: dynamics.run(round(duration_fs / _TIMESTEP_FS)), group)  # noqa: B023
        if not np.array_equal(molecules(atoms), whole):
            raise StructureError(f"{group}: a molecule broke apart or two joined; choose a lower temperature_K")
        found.append(_snapshot(atoms))
    return found


def relax(atoms: Atoms, name: str, force_eV_per_angstrom: float = 0.02, steps: int = 1000) -> Atoms:
    """Copy at the nearest minimum of GFN2-xTB; raises :class:`StructureError` if it is not found in ``steps``."""
    from ase.optimize import BFGS

    atoms = prepare(atoms)
    atoms.calc = calculator(atoms)
    with _one_thread():
        if not _converged(lambda: BFGS(atoms, logfile=None).run(fmax=force_eV_per_angstrom, steps=steps), name):
            raise StructureError(f"{name}: no minimum found in {steps} steps")
    return _snapshot(atoms)


def calculator(atoms: Atoms) -> Any:
    """GFN2-xTB with the charge and multiplicity of the structure."""
    tblite = extra("tblite.ase", "molecules")
    known = {"charge": atoms.info["charge"], "multiplicity": atoms.info["multiplicity"]}
    return tblite.TBLite(method="GFN2-xTB", verbosity=0, **known)


def _one_thread() -> Any:
    """A context: molecules this small are slower on several threads, four times so where others work too."""
    return extra("threadpoolctl", "molecules").threadpool_limits(1)


def _converged(run: Callable[[], Any], name: str) -> Any:
    from ase.calculators.calculator import CalculationFailed

    try:
        return run()
    except (CalculationFailed, RuntimeError) as error:
        raise StructureError(f"{name}: GFN2-xTB failed: {str(error.__cause__ or error).strip()}") from None


def _snapshot(atoms: Atoms) -> Atoms:
    """Positions and ``info`` alone, about the centre of mass: no velocities, no calculator."""
    masses = atomic_masses[atoms.numbers]
    return prepare(Atoms(atoms.numbers, atoms.positions - masses @ atoms.positions / masses.sum(), info=atoms.info))
