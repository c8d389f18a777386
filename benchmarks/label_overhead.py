"""What a label costs beyond the quantum chemistry in it: ``task=label`` against bare PySCF on the same structures.

python benchmarks/label_overhead.py [--number 6] [--basis def2-SVP] [--functional PBE0] [--repeats 3] [--structures F]

Bare: SCF and gradient, nothing else. Label: what a worker of ``task=label`` does per structure - look into the store,
claim, SCF, gradient, dipole, fit, its ε on the grid, two records on disk. The two take turns, each on one thread;
seconds are those of the processor, and the best of the repeats counts: other programs can only add to it. The last
column is what the label takes outside of its own SCF and gradient, which needs no second measurement to compare with.
What a store pays once (the atoms of the prior) is shown apart.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from ase import Atoms
from pyscf import dft, gto, lib, scf

from densitylab.build import build
from densitylab.config import conf_dir, register_resolvers, shipped
from densitylab.labels import FitSettings, Level, Store, calculate
from densitylab.labels.atoms import superposed_atoms
from densitylab.labels.share import label_all
from densitylab.labels.source import LabelSource
from densitylab.structures.files import from_files
from densitylab.units import ANGSTROM_TO_BOHR

_T = TypeVar("_T")


def bare(atoms: Atoms, level: Level) -> float:
    """Energy in hartree, by the settings of ``level``; the gradient is made and dropped."""
    geometry = list(zip(atoms.symbols, atoms.positions * ANGSTROM_TO_BOHR, strict=True))
    molecule = gto.M(
        atom=geometry, unit="Bohr", basis=level.basis, charge=int(atoms.info["charge"]),
        spin=int(atoms.info["multiplicity"]) - 1, verbose=0)  # fmt: skip
    solver = scf.HF(molecule) if level.functional == "HF" else dft.KS(molecule, xc=level.functional)
    if level.functional != "HF":
        solver.grids.level = level.grid_level
    solver.chkfile, solver.conv_tol = None, level.energy_tolerance_hartree
    solver = solver.density_fit() if level.density_fit else solver
    energy = solver.kernel()
    solver.nuc_grad_method().kernel()
    return float(energy)


def pipeline(atoms: Atoms, source: LabelSource) -> tuple[float, float]:
    """One label, the way a worker makes it: its seconds, and those outside of SCF and gradient."""
    inside: list[float] = []

    def timed(*arguments: Any) -> Any:
        taken, calculation = seconds(partial(calculate, *arguments))
        inside.append(taken)
        return calculation

    with mock.patch("densitylab.labels.label.calculate", timed):
        whole, _ = seconds(partial(_label, atoms, source))
    return whole, whole - sum(inside)


def _label(atoms: Atoms, source: LabelSource) -> None:
    ((_, outcome),) = label_all([atoms], source, "benchmark")
    if outcome.reason:
        raise SystemExit(outcome.reason)


def seconds(function: Callable[[], _T]) -> tuple[float, _T]:
    """Of the processor, all threads: waiting for a disk or for other programs does not count. And the result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def water(number: int) -> list[Atoms]:
    """The smallest shipped clusters, of different sizes if there are some."""
    files = sorted(shipped("data").glob("water/structures/*.extxyz"))
    found = {atoms.get_chemical_formula(): atoms for file in files for atoms in from_files(str(file))}
    return sorted(found.values(), key=len)[:number]


def default_basis() -> Callable[..., object]:
    """The density basis that ``task=label`` takes by default."""
    from hydra import compose, initialize_config_dir

    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        made: Callable[..., object] = build(compose("config").basis)
    return made


def measure(structures: list[Atoms], level: Level, repeats: int) -> np.ndarray:
    """(structures, 3) seconds: bare, label, and of the label outside of SCF and gradient; the best of the repeats."""
    basis = default_basis()
    times = np.full((repeats, len(structures), 3), np.nan)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "prior")
        symbols = {symbol for atoms in structures for symbol in atoms.symbols}
        once, _ = seconds(lambda: superposed_atoms(symbols, level, store))
        print(f"once per store: {once:.1f} s for the atoms of the prior", flush=True)
        prior = superposed_atoms(symbols, level, store)
        for repeat in range(repeats):
            for index, atoms in enumerate(structures):
                place = Store(Path(folder) / f"{repeat}-{index}")
                source = LabelSource(place, level, FitSettings(), basis, lambda **_: prior)
                if repeat % 2:
                    times[repeat, index, 0], _ = seconds(partial(bare, atoms, level))
                times[repeat, index, 1:] = pipeline(atoms, source)
                if not repeat % 2:
                    times[repeat, index, 0], _ = seconds(partial(bare, atoms, level))
    best: np.ndarray = times.min(axis=0)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", help="file with structures; default: small water clusters")
    parser.add_argument("--number", type=int, default=6)
    parser.add_argument("--functional", default="PBE0")
    parser.add_argument("--basis", default="def2-SVP")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lib.num_threads(1)
    level = Level(options.functional, options.basis)
    given = from_files(options.structures) if options.structures else water(options.number)
    structures = given[: options.number]
    times = measure(structures, level, options.repeats)
    print(f"{level}, one thread, best of {options.repeats}")
    print(f"{'structure':12} {'bare / s':>9} {'label / s':>9} {'ratio':>7} {'1 + outside / bare':>19}")
    names = [atoms.get_chemical_formula() for atoms in structures]
    for name, (plain, whole, outside) in zip([*names, "all"], [*times, times.sum(axis=0)], strict=True):
        print(f"{name:12} {plain:9.2f} {whole:9.2f} {whole / plain:7.3f} {1 + outside / plain:19.3f}")


if __name__ == "__main__":
    main()
