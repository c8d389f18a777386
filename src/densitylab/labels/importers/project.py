"""Orbitals over a file's functions, as orbitals over PySCF's of the same level: C = S⁻¹ ⟨PySCF∣file⟩ C_file.

No order, sign or norm of PySCF's has to be known for it, and orbitals that stay orthonormal have lost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from densitylab.density.conventions import standard_from_shells
from densitylab.density.integrals import as_mole
from densitylab.labels.calculation import Calculation
from densitylab.labels.importers.functions import as_text, overlap_of, shells_of
from densitylab.labels.importers.wavefunction import ORTHONORMAL, Wavefunction
from densitylab.labels.level import LabelError, Level, molecule


def calculations(waves: Sequence[Wavefunction], level: Level) -> list[Calculation]:
    """Calculations at ``level``, or, if its basis is not that of the files, at the same with their own functions.

    Raises
    ------
    LabelError
        If two atoms of one element have different functions.
    """
    if not waves:
        return []
    named = _projected(waves, level)
    if named is not None:
        return named
    own = replace(level, basis=as_text([(wave.atoms, wave.functions) for wave in waves]))
    found = _projected(waves, own)
    if found is None:
        raise LabelError(f"{waves[0].path}: PySCF cannot represent the functions of this file")
    return found


def _projected(waves: Sequence[Wavefunction], level: Level) -> list[Calculation] | None:
    """All of them at a level; None if one of them loses something there."""
    found = []
    for wave in waves:
        calculation = _project(wave, level)
        if calculation is None:
            return None
        found.append(calculation)
    return found


def _project(wave: Wavefunction, level: Level) -> Calculation | None:
    from iodata import __version__
    from pyscf import gto

    try:
        mole = molecule(wave.atoms, level)
    except LabelError:  # no basis of that name, or not for these elements
        return None
    shells, sums = shells_of(wave.functions, wave.atoms)
    if mole.nao != len(sums):
        return None
    own = mole.intor("int1e_ovlp")
    order = standard_from_shells("pyscf", shells.l.numpy())
    cross = gto.intor_cross("int1e_ovlp", mole, as_mole(shells))[:, order] @ sums.T
    orbitals = np.linalg.solve(own, cross @ wave.orbitals)
    before = np.einsum("pi,pi->i", wave.orbitals, overlap_of(wave.functions, wave.atoms) @ wave.orbitals)
    if np.abs(np.einsum("pi,pi->i", orbitals, own @ orbitals) - before).max() > ORTHONORMAL:
        return None
    matrix = (orbitals * wave.occupations) @ orbitals.T
    dipole = mole.atom_charges() @ mole.atom_coords() - np.einsum("xij,ij->x", mole.intor("int1e_r"), matrix)
    programs = {"iodata": str(__version__)}
    return Calculation(
        wave.atoms, level, wave.energy, wave.forces, dipole, orbitals, wave.occupations, programs=programs
    )
