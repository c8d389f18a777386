"""A density of single-precision coefficients, as a network gives them: every observable follows."""

import pytest
import torch
from ase import Atoms

from densitylab.density import Density, GaussianBasis
from densitylab.density.electrostatics import hellmann_feynman, interaction_energy, long_range_forces, self_repulsion
from densitylab.density.multipoles import atomic_multipoles
from tests.density.reference import random_points

BASIS = GaussianBasis("tiny", {"H": ((0, 0.8), (1, 1.1)), "O": ((0, 2.0), (1, 0.9), (2, 1.2))})
WATER = Atoms("OHH", positions=[[0.1, 0.2, 0.3], [0.96, 0.2, 0.3], [-0.24, 0.93, 0.2]])
COEFFICIENTS = torch.randn(17, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1


@pytest.mark.parametrize(
    "observable",
    [
        *(pytest.param(lambda d, n=n: getattr(d, n)(), id=n) for n in ("charge", "dipole", "quadrupole", "octupole")),
        *(
            pytest.param(lambda d, n=n: getattr(d, n)(random_points(0, 9).to(d.centers)), id=n)
            for n in ("values", "gradient", "laplacian", "potential", "field", "field_gradient")
        ),
        pytest.param(self_repulsion, id="self_repulsion"),
        pytest.param(lambda d: atomic_multipoles(d).dipoles, id="atomic_multipoles"),
        pytest.param(hellmann_feynman, id="hellmann_feynman"),
        pytest.param(lambda d: long_range_forces(d, torch.arange(3), 1.0), id="long_range_forces"),
        pytest.param(lambda d: interaction_energy(d, d), id="interaction_energy"),
    ],
)
def test_single_precision_coefficients_of_a_basis(observable):
    expected = observable(Density.from_basis(BASIS, WATER, COEFFICIENTS))
    found = observable(Density.from_basis(BASIS, WATER, COEFFICIENTS.float()))
    assert found.dtype == torch.float32
    # 1e-4 of the largest: seven digits, of which cancellation takes two or three
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
