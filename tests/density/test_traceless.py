"""Traceless moments, in Buckingham's definition."""

import numpy as np
import pytest
import torch

from densitylab.density.moments import point_moments, traceless_octupole, traceless_quadrupole
from tests.density.molecules import random_molecule
from tests.density.reference import double, relative

ROUNDING = 1e-12  # relative, for sums of about a hundred terms in double precision


def buckingham(q, r):
    """½ Σ q (3rr − r²1) and ½ Σ q (5rrr − r²(r1 + …)), element by element, of charges q at r."""
    delta, theta, omega = np.eye(3), np.zeros((3,) * 2), np.zeros((3,) * 3)
    for charge, x in zip(q, r, strict=True):
        for i, j in np.ndindex(3, 3):
            theta[i, j] += charge / 2 * (3 * x[i] * x[j] - x @ x * delta[i, j])
        for i, j, k in np.ndindex(3, 3, 3):
            traces = x[i] * delta[j, k] + x[j] * delta[i, k] + x[k] * delta[i, j]
            omega[i, j, k] += charge / 2 * (5 * x[i] * x[j] * x[k] - x @ x * traces)
    return theta, omega


def test_traceless_moments_are_buckinghams():
    rng = np.random.default_rng(1)
    q, r = rng.normal(size=5), rng.normal(size=(5, 3))
    full = [m.sum(0) for m in point_moments(torch.as_tensor(q), torch.as_tensor(r))]
    theta, omega = buckingham(q, r)
    assert relative(traceless_quadrupole(full[2]), theta) < ROUNDING
    assert relative(traceless_octupole(full[3]), omega) < ROUNDING


def test_traceless_moments_of_a_density_have_no_trace_and_are_symmetric():
    density = random_molecule(5)
    theta, omega = traceless_quadrupole(density.quadrupole()), traceless_octupole(density.octupole())
    for t, size in [(theta, density.quadrupole()), (omega, density.octupole())]:
        assert t.diagonal(dim1=-2, dim2=-1).sum(-1).abs().max() < ROUNDING * size.abs().max()
        assert (t - t.transpose(-1, -2)).abs().max() < ROUNDING * size.abs().max()
        assert (t - t.transpose(0, -1)).abs().max() < ROUNDING * size.abs().max()
    many = traceless_quadrupole(density.quadrupole().expand(2, 4, 3, 3))
    more = traceless_octupole(density.octupole().expand(2, 3, 3, 3))
    assert relative(many[1, 3], theta) < ROUNDING
    assert relative(more[1], omega) < ROUNDING


def test_linear_molecules():
    """Charges along z: Θ_zz = Σ q z² = −2 Θ_xx, Ω_zzz = Σ q z³ = −2 Ω_xxz; of O=C=O, −2qa² and no octupole."""
    q, z = double(-0.4, 0.9, -0.5), double(-2.2, 0.1, 1.9)
    along = torch.stack([0 * z, 0 * z, z], dim=1)
    full = [m.sum(0) for m in point_moments(q, along)]
    theta, omega = traceless_quadrupole(full[2]), traceless_octupole(full[3])
    expected = float(q @ z**2), float(q @ z**3)
    assert theta.diagonal().tolist() == pytest.approx(np.array([-0.5, -0.5, 1]) * expected[0], rel=ROUNDING)
    assert [float(omega[i, i, 2]) for i in range(3)] == pytest.approx(np.array([-0.5, -0.5, 1]) * expected[1])
    symmetric = [
        m.sum(0) for m in point_moments(double(-0.3, 0.6, -0.3), along.sign() * 2.2 * double(1, 0, 1)[:, None])
    ]
    assert float(traceless_quadrupole(symmetric[2])[2, 2]) == pytest.approx(-2 * 0.3 * 2.2**2, rel=ROUNDING)
    assert symmetric[3].abs().max() < ROUNDING
