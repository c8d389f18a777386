"""Labels for other programs: extended XYZ, which ASE and most force-field trainers read, and HDF5 with everything."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from densitylab.files import write_atomically
from densitylab.keys import CALCULATION, FIT
from densitylab.labels.calculation import Calculation
from densitylab.labels.records import load_calculation
from densitylab.labels.store import Store
from densitylab.units import BOHR_TO_ANGSTROM, HARTREE_PER_BOHR_TO_EV_PER_ANGSTROM, HARTREE_TO_EV


def to_ase(calculation: Calculation) -> Atoms:
    """A structure with its results as ASE has them: energy in eV, forces in eV/Å, dipole in e·Å, what is known."""
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = calculation.atoms.copy()
    atoms.info |= {"key": calculation.key, "level": str(calculation.level), "program": calculation.level.program}
    results: dict[str, Any] = {
        "energy": calculation.energy * HARTREE_TO_EV,
        "forces": calculation.forces * HARTREE_PER_BOHR_TO_EV_PER_ANGSTROM,
        "dipole": calculation.dipole * BOHR_TO_ANGSTROM,
    }
    atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in results.items() if np.isfinite(v).all()})
    return atoms


def write_extxyz(path: Path, store: Store, keys: Iterable[str]) -> None:
    """One frame per calculation; see :func:`to_ase`."""
    text = io.StringIO()
    ase.io.write(text, [to_ase(load_calculation(store, key)) for key in keys], format="extxyz")
    write_atomically(path, text.getvalue())


def write_hdf5(path: Path, store: Store, keys: Iterable[str]) -> None:
    """Everything that the store has of some calculations, in atomic units.

    ``/KEY`` holds ``numbers``, ``positions`` (Å), ``energy``, ``forces``, ``dipole``, ``orbitals`` and ``occupations``
    as ``keys.CALCULATION`` declares them; ``/KEY/fits/FIT`` holds the ``coefficients`` of one fit. Each array has its
    ``unit`` and ``meaning`` as attributes; groups have what their record says of itself as JSON in ``meta``: level,
    programs, charge, multiplicity, group, licence; basis, prior, metric, constraints, residuals.
    """
    import h5py

    wanted = set(keys)
    with io.BytesIO() as memory:
        with h5py.File(memory, "w") as archive:
            for key in sorted(wanted):
                _write(archive.create_group(key), store.get("calculation", key), CALCULATION)
            for key in store.keys("fit"):
                of = store.meta("fit", key)["calculation"]
                if of in wanted:
                    _write(archive.create_group(f"{of}/fits/{key}"), store.get("fit", key), FIT)
        write_atomically(path, memory.getvalue())


def _write(group: Any, record: Any, fields: dict[str, Any]) -> None:
    group.attrs["meta"] = json.dumps(record.meta)
    for name, array in record.arrays.items():
        compression = {"compression": "gzip"} if array.ndim == 2 and array.size else {}
        dataset = group.create_dataset(name, data=array, **compression)
        dataset.attrs.update({"unit": fields[name].unit, "meaning": fields[name].meaning})
