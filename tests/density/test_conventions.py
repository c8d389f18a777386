import numpy as np
import pytest
import torch
from e3nn import o3
from pyscf import gto

from densitylab.density.conventions import E3NN_AXES, standard_from, standard_from_shells
from tests.density.reference import pyscf_mole, random_points

# The order of m in every program, written out: psi4 0, +1, -1 …; molden the same but for p; PySCF -l … l but for p.
# l <= 3 of psi4 are the lists of FACTS.md §1.1, and molden's are those of its format description.
PSI4 = {
    0: [0],
    1: [2, 0, 1],
    2: [4, 2, 0, 1, 3],
    3: [6, 4, 2, 0, 1, 3, 5],
    4: [8, 6, 4, 2, 0, 1, 3, 5, 7],
    5: [10, 8, 6, 4, 2, 0, 1, 3, 5, 7, 9],
    6: [12, 10, 8, 6, 4, 2, 0, 1, 3, 5, 7, 9, 11],
}
PLAIN = {l: list(range(2 * l + 1)) for l in range(7)}
X_Y_Z = {1: [1, 2, 0]}
EXPECTED = {"standard": PLAIN, "e3nn": PLAIN, "psi4": PSI4, "pyscf": PLAIN | X_Y_Z, "molden": PSI4 | X_Y_Z}


@pytest.mark.parametrize("l", range(7))
@pytest.mark.parametrize("order", EXPECTED)
def test_permutation(order, l):
    assert standard_from(order, l).tolist() == EXPECTED[order][l]


@pytest.mark.parametrize("order", EXPECTED)
def test_shells_are_permuted_one_by_one(order):
    ls = [2, 0, 1, 1, 6, 3]
    values = np.arange(sum(2 * l + 1 for l in ls))
    found = values[standard_from_shells(order, np.array(ls))]
    pieces = np.split(values, np.cumsum([2 * l + 1 for l in ls])[:-1])
    expected = np.concatenate([piece[EXPECTED[order][l]] for l, piece in zip(ls, pieces, strict=True)])
    assert found.tolist() == expected.tolist()


def test_no_shells_are_no_functions():
    assert standard_from_shells("pyscf", np.zeros(0, dtype=int)).tolist() == []


def test_unknown_order_is_refused():
    with pytest.raises(ValueError, match="gaussian"):
        standard_from("gaussian", 2)


@pytest.mark.parametrize("l", range(7))
def test_pyscf_permutation_puts_m_in_order(l):
    """Directly from the definition: m < 0 goes with sin |m|φ, m > 0 with cos mφ, m = 0 with neither."""
    rng = np.random.default_rng(l)
    phi = np.linspace(0, 2 * np.pi, 2 * l + 8, endpoint=False)
    z, rho = rng.uniform(0.3, 0.9, size=2)
    ring = np.stack([rho * np.cos(phi), rho * np.sin(phi), np.full_like(phi, z)], axis=1)
    values = pyscf_mole([[0, 0, 0]], [0.7], [l]).eval_gto("GTOval_sph", ring)[:, standard_from("pyscf", l)]
    for column, m in enumerate(range(-l, l + 1)):
        angular = np.sin(-m * phi) if m < 0 else np.cos(m * phi)
        amplitude = values[:, column] @ angular / (angular @ angular)
        # Rounding of numbers of order one; the sign is positive for every m (no Condon-Shortley phase) where z, ρ > 0
        # and the associated Legendre function P_l^m(z/r) is: for l = |m| and l = |m| + 1 always.
        assert np.allclose(values[:, column], amplitude * angular, rtol=0, atol=1e-12)
        assert abs(amplitude) > 1e-4
        if l - abs(m) <= 1:
            assert amplitude > 0


@pytest.mark.parametrize("l", range(7))
def test_e3nn_harmonics_at_permuted_axes_are_the_standard_ones(l):
    """At (y, z, x), e3nn's harmonics are PySCF's solid harmonics times one positive number per l, for every m."""
    points = random_points(l)
    solid = pyscf_mole([[0, 0, 0]], [1.0], [l]).eval_gto("GTOval_sph", points.numpy())
    solid = solid[:, EXPECTED["pyscf"][l]] / np.exp(-points.square().sum(1).numpy())[:, None] / gto.gto_norm(l, 1.0)
    ours = o3.spherical_harmonics(l, points[:, E3NN_AXES], normalize=False, normalization="integral").numpy()
    constant = (ours * solid).sum() / (solid * solid).sum()
    assert constant > 0
    # 1e-12 of the largest value: rounding of polynomials of degree 6
    assert np.abs(ours - constant * solid).max() < 1e-12 * np.abs(ours).max()
    assert constant == pytest.approx(1, abs=1e-12)  # both are orthonormal on the sphere


@pytest.mark.parametrize("l", range(1, 7))
def test_without_the_permuted_axes_they_are_not(l):
    """The test above can fail."""
    points = random_points(l, 50)
    wrong = o3.spherical_harmonics(l, points, normalize=False)
    right = o3.spherical_harmonics(l, points[:, E3NN_AXES], normalize=False)
    assert not torch.allclose(wrong, right)
