"""Langevin dynamics with OpenMM, reproducible by seed on one machine."""

from __future__ import annotations

from typing import Any

import numpy as np

_REPRODUCIBLE = {"Threads": "1", "DeterministicForces": "true"}  # both are needed


def langevin(
    topology: Any, system: Any, positions: Any, seed: int,
    temperature_K: float, friction_per_ps: float, timestep_fs: float,
) -> Any:  # fmt: skip
    """An OpenMM ``Simulation`` on one thread of the CPU; ``positions`` carry OpenMM's units, velocities are not set."""
    import openmm
    from openmm import app, unit

    step = timestep_fs * unit.femtosecond
    integrator = openmm.LangevinMiddleIntegrator(temperature_K, friction_per_ps / unit.picosecond, step)
    integrator.setRandomNumberSeed(seed + 1)  # OpenMM reads seed 0 as "choose one"
    cpu = openmm.Platform.getPlatformByName("CPU")
    simulation = app.Simulation(topology, system, integrator, cpu, _REPRODUCIBLE)
    simulation.context.setPositions(positions)
    return simulation


def minimise_and_heat(simulation: Any, temperature_K: float, seed: int) -> None:
    """Take the strain out of the start, and draw velocities."""
    simulation.minimizeEnergy(maxIterations=50)
    simulation.context.setVelocitiesToTemperature(temperature_K, seed + 1)


def positions_of(simulation: Any) -> np.ndarray:
    """(A, 3) in Å, not wrapped into a box: molecules stay whole."""
    from openmm import unit

    state = simulation.context.getState(getPositions=True)
    positions: np.ndarray = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    return positions
