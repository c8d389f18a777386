"""Exports must say the same in other units: ASE reads one, h5py the other."""

import json
from dataclasses import replace

import ase.io
import h5py
import numpy as np
import pytest
from ase.units import Bohr, Hartree

from densitylab.keys import CALCULATION
from densitylab.labels import Store
from densitylab.labels.exporters import write_extxyz, write_hdf5
from densitylab.labels.records import load_calculation, save_calculation
from tests.labels.calculations import calculation


def test_extended_xyz_as_ase_reads_it(source, tmp_path):
    keys = list(source.infos())
    write_extxyz(tmp_path / "out" / "w.extxyz", source.store, keys)
    frames = ase.io.read(tmp_path / "out" / "w.extxyz", index=":")
    assert [atoms.info["key"] for atoms in frames] == keys
    for key, atoms in zip(keys, frames, strict=True):
        made = load_calculation(source.store, key)
        # ASE's units are CODATA 2014, and extended XYZ has eight decimals
        assert atoms.get_potential_energy() == pytest.approx(made.energy * Hartree, rel=1e-7)
        assert np.allclose(atoms.get_forces(), made.forces * Hartree / Bohr, atol=1e-6)
        assert np.allclose(atoms.get_dipole_moment(), made.dipole * Bohr, atol=1e-6)
        assert np.allclose(atoms.positions, made.atoms.positions, atol=1e-8)
        assert {k: atoms.info[k] for k in ("charge", "multiplicity", "group")} == {
            k: made.atoms.info[k] for k in ("charge", "multiplicity", "group")
        }
        assert (atoms.info["level"], atoms.info["program"]) == ("HF/sto-3g", "pyscf")


def test_what_is_not_known_is_left_out(tmp_path):
    store, made = Store(tmp_path / "store"), calculation("H2")
    save_calculation(store, replace(made, energy=np.nan, forces=np.full((2, 3), np.nan)))
    write_extxyz(tmp_path / "h.xyz", store, [made.key])
    results = ase.io.read(tmp_path / "h.xyz").calc.results
    assert set(results) == {"dipole"}


def test_hdf5_has_everything_with_units(source, tmp_path):
    keys = list(source.infos())
    write_hdf5(tmp_path / "w.h5", source.store, keys[:2])
    with h5py.File(tmp_path / "w.h5") as archive:
        assert sorted(archive) == sorted(keys[:2])
        for key in keys[:2]:
            made, group = load_calculation(source.store, key), archive[key]
            assert set(group) == {*CALCULATION, "fits"}
            for name in ("forces", "dipole", "orbitals", "occupations"):
                assert np.array_equal(group[name], getattr(made, name))
                assert group[name].attrs["unit"] == CALCULATION[name].unit
            assert group["energy"][()] == made.energy
            assert json.loads(group.attrs["meta"])["level"]["functional"] == "HF"
            ((fit, content),) = group["fits"].items()
            assert np.array_equal(content["coefficients"], source.store.get("fit", fit).arrays["coefficients"])
            assert json.loads(content.attrs["meta"])["basis"]["name"] == "def2-universal-JFIT"
