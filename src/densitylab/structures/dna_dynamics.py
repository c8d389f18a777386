"""Hydrogens and thermal motion of DNA: amber14/OL15 with OpenMM, on one thread, reproducible by seed.

The force field only chooses geometries; labels come from quantum chemistry. All bonds are flexible, water is
implicit (OBC2), and electrostatics end at 12 Å, where the solvent has screened them.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from ase import Atoms

from densitylab.structures.check import StructureError, prepare
from densitylab.structures.langevin import langevin, minimise_and_heat, positions_of

_TIMESTEP_FS = 1.0  # flexible C-H bonds vibrate with a period of 11 fs, O-H bonds of the ends with 9 fs
_FRICTION_PER_PS = 5.0  # heats the minimum to its temperature within a picosecond
_CUTOFF_ANGSTROM = 12.0
_DNA = "amber14/DNA.OL15.xml"


def dna_atoms(topology: Any, positions: np.ndarray, group: str) -> Atoms:
    """An OpenMM topology and (A, 3) positions in Å as a structure; see :func:`charged`."""
    numbers = [atom.element.atomic_number for atom in topology.atoms()]
    return charged(Atoms(numbers, positions=positions), group)


def charged(atoms: Atoms, group: str) -> Atoms:
    """Checked DNA, or a piece of it: charge −1 per phosphate, singlet."""
    return prepare(atoms, charge=-atoms.numbers.tolist().count(15), multiplicity=1, group=group)


def with_hydrogens(topology: Any, positions: np.ndarray) -> tuple[Any, np.ndarray]:
    """Topology and (A, 3) positions in Å with every missing hydrogen; what was there stays where it was.

    OpenMM places hydrogens at random and minimises amber14's energy with all other atoms held: the random numbers
    are seeded here, and the reference platform sums in one order, so the result is the same every time.

    Raises
    ------
    StructureError
        A residue that is not a nucleotide of the force field even with hydrogens added.
    """
    import openmm
    from openmm import app, unit

    modeller = app.Modeller(topology, positions * unit.angstrom)
    state = random.getstate()
    random.seed(0)
    try:
        modeller.addHydrogens(app.ForceField(_DNA), platform=openmm.Platform.getPlatformByName("Reference"))
    except ValueError as error:  # OpenMM's word for a residue without a template
        reason = str(error).split(". ")[0]  # the rest is advice for programmers
        raise StructureError(f"the force field does not know this DNA: {reason}") from None
    finally:
        random.setstate(state)
    placed: np.ndarray = modeller.positions.value_in_unit(unit.angstrom)
    return modeller.topology, np.array(placed)


def trajectory(
    topology: Any,
    positions: np.ndarray,
    seed: int,
    snapshots: int,
    temperature_K: float,
    equilibration_ps: float,
    interval_ps: float,
) -> list[np.ndarray]:
    """Positions (A, 3) in Å of ``snapshots`` frames, ``interval_ps`` apart, the first after ``equilibration_ps``.

    ``positions`` are minimised first; ``seed`` sets velocities and thermostat.
    """
    simulation = _simulation(topology, positions, seed, temperature_K)
    minimise_and_heat(simulation, temperature_K, seed)
    frames = []
    for wait_ps in [equilibration_ps, *[interval_ps] * snapshots][:snapshots]:
        simulation.step(round(wait_ps * 1000 / _TIMESTEP_FS))
        frames.append(positions_of(simulation))
    return frames


def _simulation(topology: Any, positions: np.ndarray, seed: int, temperature_K: float) -> Any:
    from openmm import app, unit

    field = app.ForceField(_DNA, "implicit/obc2.xml")
    cutoff = {"nonbondedMethod": app.CutoffNonPeriodic, "nonbondedCutoff": _CUTOFF_ANGSTROM * unit.angstrom}
    system = field.createSystem(topology, constraints=None, **cutoff)
    start = positions * unit.angstrom
    return langevin(topology, system, start, seed, temperature_K, _FRICTION_PER_PS, _TIMESTEP_FS)
