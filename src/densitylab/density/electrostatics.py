"""Electrostatics of Gaussian shells, by libcint (PySCF)."""

from __future__ import annotations

import torch
from torch import Tensor

from densitylab.density.conventions import standard_from_shells
from densitylab.density.integrals import as_mole
from densitylab.density.shells import Shells


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
