"""Liquid-like water clusters: flexible TIP3P molecular dynamics (OpenMM), carved around a random centre."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms

from densitylab.structures.check import StructureError, prepare, within
from densitylab.structures.langevin import langevin, minimise_and_heat, positions_of

_MOLECULES = 216
_TIMESTEP_FS = 0.5  # flexible O-H bonds vibrate with a period of 9 fs


def liquid_clusters(
    sizes: list[int],
    trajectories: int,
    seed: int = 0,
    temperature_K: float = 300.0,
    melt_K: float = 500.0,
    melt_ps: float = 2.0,
    equilibration_ps: float = 3.0,
    quench: bool = False,
    snapshots: int = 1,
    interval_ps: float = 1.0,
) -> list[Atoms]:
    """One cluster of every size from each of several independent trajectories of liquid water.

    Every trajectory starts from OpenMM's pre-equilibrated box with velocities of its own, is melted at ``melt_K`` to
    forget the common start, and then equilibrated at ``temperature_K``. Bonds and angles are flexible, so the
    molecules are thermally distorted.

    Parameters
    ----------
    sizes: numbers of molecules, each carved from a frame around a centre of its own.
    trajectories: number of independent trajectories; each is one ``group`` of a split.
    seed: trajectory ``t`` uses ``seed + t`` for velocities, thermostat and centres.
    quench: relax every cluster to the nearest minimum of the force field, in vacuum: hydrogen-bonded, cold.
    snapshots: frames that every trajectory gives, the first after its equilibration.
    interval_ps: time between them.

    Returns
    -------
    list of ``len(sizes) * trajectories * snapshots`` neutral singlet structures, positions in Å, ``info["size"]`` =
    number of molecules. The list is the same for the same seed on the same machine; across machines molecular dynamics
    is not bit-reproducible, which is why structures are stored with their labels.

    Raises
    ------
    StructureError
        A size or a temperature out of range.
    """
    _check(sizes)
    name = "quenched" if quench else f"{temperature_K:g}K"
    clusters = []
    for trajectory in range(seed, seed + trajectories):
        rng = np.random.default_rng(trajectory)
        durations_ps = (equilibration_ps, *[interval_ps] * (snapshots - 1))
        for positions, box in frames(trajectory, durations_ps, temperature_K, melt_K, melt_ps):
            for size in sizes:
                atoms = carve(positions, box, size, rng.uniform(0, box))
                if quench:
                    atoms.positions = _minimum(atoms)
                atoms.info["size"] = size
                clusters.append(prepare(atoms, charge=0, multiplicity=1, group=f"water-{name}-{trajectory}"))
    return clusters


def _check(sizes: list[int]) -> None:
    for size in sizes:
        if size < 1:
            raise StructureError(f"a cluster of {size} molecules has no atoms")
        if size > _MOLECULES:
            raise StructureError(
                f"cannot carve {size} molecules from a box of {_MOLECULES}; see structures=water_droplet"
            )


def carve(positions: np.ndarray, box: np.ndarray, size: int, centre: np.ndarray) -> Atoms:
    """The ``size`` whole molecules whose oxygens are nearest to ``centre``.

    ``positions``: (molecules, 3 atoms O H H, 3) in Å, molecules whole; ``box``: (3,) edge lengths in Å; ``centre``:
    (3,) in Å. Raises ``ValueError`` if the box holds fewer molecules than asked for.
    """
    if size > len(positions):
        raise ValueError(f"cannot carve {size} molecules from a box of {len(positions)}")
    oxygen = positions[:, 0] - centre
    shift = -box * np.round(oxygen / box)
    nearest = np.argsort(np.linalg.norm(oxygen + shift, axis=1))[:size]
    chosen = (positions + shift[:, None] - centre)[nearest]
    return Atoms("OHH" * size, positions=chosen.reshape(-1, 3))


def frames(
    seed: int,
    durations_ps: tuple[float, ...] = (3.0,),
    temperature_K: float = 300.0,
    melt_K: float = 500.0,
    melt_ps: float = 2.0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Liquid water after melting and each of ``durations_ps``: positions (molecules, 3, 3), box edges (3,), in Å."""
    from openmm import unit

    within("temperature_K", temperature_K, 1, 1000)
    within("melt_K", melt_K, 1, 1000)
    simulation = _simulation(seed)
    minimise_and_heat(simulation, melt_K, seed)
    simulation.integrator.setTemperature(melt_K)
    simulation.step(round(melt_ps * 1000 / _TIMESTEP_FS))
    simulation.integrator.setTemperature(temperature_K)
    for duration_ps in durations_ps:
        simulation.step(round(duration_ps * 1000 / _TIMESTEP_FS))
        vectors = simulation.context.getState().getPeriodicBoxVectors(asNumpy=True)
        yield positions_of(simulation).reshape(-1, 3, 3), np.diag(vectors.value_in_unit(unit.angstrom))


def _simulation(seed: int) -> Any:
    """A periodic box of ``_MOLECULES``."""
    from openmm import app, unit

    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(_field(), model="tip3p", numAdded=_MOLECULES)
    periodic = {"nonbondedMethod": app.PME, "nonbondedCutoff": 0.85 * unit.nanometer}
    return _flexible(modeller.topology, modeller.positions, seed, **periodic)


def _minimum(atoms: Atoms) -> np.ndarray:
    """(A, 3) positions in Å of the nearest minimum in vacuum."""
    from openmm import app, unit

    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(len(atoms) // 3):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = (topology.addAtom(n, app.Element.getBySymbol(n[0]), residue) for n in ("O", "H1", "H2"))
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    simulation = _flexible(topology, atoms.positions * unit.angstrom, seed=0, nonbondedMethod=app.NoCutoff)
    simulation.minimizeEnergy()
    return positions_of(simulation)


def _flexible(topology: Any, positions: Any, seed: int, **nonbonded: Any) -> Any:
    """A Langevin simulation of flexible water, on the CPU."""
    system = _field().createSystem(topology, rigidWater=False, constraints=None, **nonbonded)
    return langevin(topology, system, positions, seed, 300, 2.0, _TIMESTEP_FS)


def _field() -> Any:
    from openmm import app

    return app.ForceField("amber14/tip3p.xml")
