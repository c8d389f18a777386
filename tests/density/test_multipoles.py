"""Multipoles of the atoms in a molecule."""

import numpy as np
import pytest
import torch

from densitylab.density.moments import traceless_octupole, traceless_quadrupole
from densitylab.density.multipoles import atomic_multipoles, total_moments
from tests.density.molecules import (
    about,
    of_gaussians,
    random_molecule,
    shifted,
    single,
    spherical_molecule,
    with_functions_anywhere,
)
from tests.density.reference import double, relative

ROUNDING = 1e-12  # relative, for sums of about a hundred terms in double precision
RANKS = ["charges", "dipoles", "quadrupoles", "octupoles"]


def multipoles(density):
    found = atomic_multipoles(density)
    return [getattr(found, name) for name in RANKS]


@pytest.mark.parametrize("seed", range(3))
def test_atomic_multipoles_add_up_to_the_molecules(seed):
    density = with_functions_anywhere(seed)
    own = multipoles(density)
    assert float(own[0].sum()) == pytest.approx(float(density.charge()), rel=ROUNDING)
    total = [0, 0, 0, 0]
    for k, position in enumerate(density.nuclei.positions.numpy()):
        total = [a + b for a, b in zip(total, about([m[k] for m in own], -position), strict=True)]
    for found, expected in zip(total, total_moments(density), strict=True):
        assert relative(found, expected) < ROUNDING


def test_atomic_multipoles_are_those_of_the_atom_about_its_nucleus():
    density = with_functions_anywhere(6)
    own = multipoles(density)
    assert [m.shape for m in own] == [(8,), (8, 3), (8, 3, 3), (8, 3, 3, 3)]
    for k, position in enumerate(density.nuclei.positions):
        atom = density.of_atoms(torch.arange(8) == k)
        for found, expected in zip(own, total_moments(atom, position), strict=True):
            assert torch.allclose(found[k], expected, rtol=ROUNDING, atol=10 * ROUNDING)  # some dipoles are zero


def test_neutral_spherical_atoms_have_no_multipoles():
    """The monopole, the dipole, and what is left of the others without their traces; and so has their molecule."""
    density = spherical_molecule(0)
    charges, dipoles, quadrupoles, octupoles = multipoles(density)
    z = 17 * ROUNDING  # of the largest nuclear charge
    assert charges.abs().max() < z
    assert dipoles.abs().max() < z
    assert traceless_quadrupole(quadrupoles).abs().max() < z
    assert octupoles.abs().max() < z
    assert density.dipole().abs().max() < 100 * z  # times a few bohr and eight atoms
    assert traceless_quadrupole(density.quadrupole()).abs().max() < 1000 * z
    assert traceless_octupole(density.octupole()).abs().max() < 1e4 * z


def test_a_trace_remains_of_a_spherical_atom():
    """Full moments: −⟨r²⟩/3 = −1/(2α) per electron, in every direction."""
    density = of_gaussians([[1, 2, 3]], [0.7], [8], [[1, 2, 3]], [8])
    assert relative(multipoles(density)[2][0], -8 / (2 * 0.7) * np.eye(3)) < ROUNDING


def test_atomic_multipoles_do_not_move_with_the_molecule():
    density = with_functions_anywhere(7)
    for found, expected in zip(multipoles(shifted(density, [5, -40, 11])), multipoles(density), strict=True):
        assert relative(found, expected) < 1e-11  # positions lose two digits


def test_atomic_multipoles_differentiate():
    density = random_molecule(8)
    coefficients = density.coefficients.clone().requires_grad_()
    atomic_multipoles(density.with_coefficients(coefficients)).charges[3].backward()
    expected = -density.shells.charges() * (torch.repeat_interleave(density.owners(), 2 * density.l + 1) == 3)
    assert relative(coefficients.grad, expected) < ROUNDING


def test_single_precision_follows_double():
    density = random_molecule(9)
    for found, expected in zip(multipoles(single(density)), multipoles(density), strict=True):
        assert found.dtype == torch.float32
        assert relative(found, expected) < 1e-5  # seven digits, and some of them cancel


def test_bare_nuclei_are_charges():
    density = of_gaussians(np.zeros((0, 3)), [], [], [[0, 0, 1], [1, 0, 0]], [1, 8])
    assert [m.abs().sum().item() for m in multipoles(density)] == [9, 0, 0, 0]
    assert density.dipole().tolist() == double(8, 0, 1).tolist()
