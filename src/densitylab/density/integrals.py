"""Overlap and Coulomb integrals between shells, and their fields at points, by libcint (PySCF)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from densitylab.density.conventions import standard_from_shells
from densitylab.density.shells import Shells


def overlap(bra: Shells, ket: Shells | None = None) -> Tensor:
    """(F, F') matrix S_kl = ∫ φ_k φ_l dr; ``ket`` defaults to ``bra``. Unit diagonal. float64, on the CPU."""
    return _two_center("int1e_ovlp", bra, ket)


def coulomb(bra: Shells, ket: Shells | None = None) -> Tensor:
    """(F, F') matrix J_kl = ∬ φ_k(r) φ_l(r') / |r − r'| dr dr', hartree (for coefficients in e). float64, CPU."""
    return _two_center("int2c2e", bra, ket)


def fields(shells: Shells, points: Tensor) -> Tensor:
    """(P, 3, F) field of every function at ``points`` (P, 3) in bohr, hartree/(e·bohr) for one electron in it.

    ∇_R ∫ φ_k(r) / |r − R| dr: electrons are negative, so a density Σ c_k φ_k pulls a nucleus of charge Z with the
    force Z Σ c_k ∇V_k (Hellmann and Feynman; shared/FACTS.md §1.4). float64, on the CPU.
    """
    from pyscf import gto

    charges = gto.fakemol_for_charges(points.detach().cpu().double().numpy())
    derivatives = gto.intor_cross("int2c2e_ip1", as_mole(shells), charges)  # (3, F, P), of the function's coordinate
    order = standard_from_shells("pyscf", shells.l.cpu().numpy())
    return torch.as_tensor(derivatives[:, order]).permute(2, 0, 1)


def in_pyscf_order(shells: Shells, vector: Tensor) -> np.ndarray:
    """(F,) numbers of every function, float64, in the order in which :func:`as_mole` has the functions."""
    ordered = np.empty(shells.size)
    ordered[standard_from_shells("pyscf", shells.l.cpu().numpy())] = vector.detach().cpu().double().numpy()
    return ordered


def as_mole(shells: Shells) -> Any:
    """A PySCF ``Mole`` whose basis functions are these shells (in PySCF's order), one atom of charge 0 per shell."""
    from pyscf import gto

    centers = shells.centers.detach().cpu().double().numpy()
    exponents = shells.exponents.detach().cpu().double().numpy()
    ls = shells.l.cpu().numpy()
    number = len(ls)
    start = gto.PTR_ENV_START
    norms = np.array([gto.gto_norm(int(l), float(a)) for l, a in zip(ls, exponents, strict=True)])
    env = np.concatenate([np.zeros(start), centers.ravel(), exponents, norms])
    atm = np.zeros((number, gto.ATM_SLOTS), dtype=np.int32)
    atm[:, gto.PTR_COORD] = start + 3 * np.arange(number)
    bas = np.zeros((number, gto.BAS_SLOTS), dtype=np.int32)
    bas[:, gto.ATOM_OF] = np.arange(number)
    bas[:, gto.ANG_OF] = ls
    bas[:, gto.NPRIM_OF] = bas[:, gto.NCTR_OF] = 1
    bas[:, gto.PTR_EXP] = start + 3 * number + np.arange(number)
    bas[:, gto.PTR_COEFF] = bas[:, gto.PTR_EXP] + number
    mole = gto.Mole()
    mole._atm, mole._bas, mole._env, mole._built = atm, bas, env, True
    mole.cart = False
    return mole


def _two_center(integral: str, bra: Shells, ket: Shells | None) -> Tensor:
    from pyscf import gto

    left = as_mole(bra)
    rows = standard_from_shells("pyscf", bra.l.cpu().numpy())
    if ket is None:
        return torch.as_tensor(left.intor(integral, hermi=1)[np.ix_(rows, rows)])
    columns = standard_from_shells("pyscf", ket.l.cpu().numpy())
    matrix = gto.intor_cross(integral, left, as_mole(ket))
    return torch.as_tensor(matrix[np.ix_(rows, columns)])
