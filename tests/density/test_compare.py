import numpy as np
import pytest
import torch

from densitylab.density import Density
from densitylab.density.compare import compare
from densitylab.density.grid import atom_centered
from tests.density.reference import ALL, random_density
from tests.labels.calculations import structure, toy_prior


@pytest.fixture
def reference() -> Density:
    """Three atoms with two or three s-functions each: positive, and it has a surface."""
    return toy_prior().density(structure("water"))


@pytest.fixture
def changed(reference) -> Density:
    rng = np.random.default_rng(0)
    factors = torch.as_tensor(1 + 0.02 * rng.normal(size=len(reference.coefficients)))
    return reference.with_coefficients(reference.coefficients * factors)


def test_nothing_differs_from_itself(reference):
    same = compare(reference, reference)
    assert same.similarity == pytest.approx(1)
    rest = [same.epsilon, *same.epsilon_l, same.big_i, same.l2, same.coulomb, same.electrons, same.dipole]
    # 1e-7: roots of what is left by rounding
    assert [*rest, same.quadrupole, same.esp_rms] == pytest.approx([0] * (len(rest) + 2), abs=1e-7)


def test_every_measure_by_quadrature(reference, changed):
    """Against the definitions, on a fine grid."""
    found, grid = compare(changed, reference), atom_centered(structure("water"), 5)
    own, other = changed.values(grid.points), reference.values(grid.points)
    number = float(reference.electrons())
    # 1e-3: the grid of the function itself (level 2); 1e-5: this one
    assert found.epsilon == pytest.approx(100 * float(grid.integrate((own - other).abs())) / number, rel=1e-2)
    squared = float(grid.integrate((own - other) ** 2))
    norms = float(grid.integrate(own**2)), float(grid.integrate(other**2))
    assert found.l2 == pytest.approx(squared**0.5, rel=1e-5)
    assert found.big_i == pytest.approx(squared / sum(norms), rel=1e-5)
    assert found.similarity == pytest.approx(
        float(grid.integrate(own * other)) / (norms[0] * norms[1]) ** 0.5, rel=1e-5
    )
    assert found.electrons == pytest.approx(float(grid.integrate(own - other)), rel=1e-5)
    moment = (grid.weights * (own - other)) @ grid.points
    assert found.dipole == pytest.approx(float(moment.norm()), rel=1e-5)
    potential = (changed - reference).potential(grid.points) - (reference - reference).potential(grid.points)
    assert found.coulomb == pytest.approx(-0.5 * float(grid.integrate((own - other) * potential)), rel=1e-4)


def test_errors_by_degree_are_told_apart(reference):
    water = structure("water")
    shells = random_density(0, ALL)
    change = Density(shells.centers, shells.exponents, shells.l, 1e-4 * shells.coefficients, reference.nuclei)
    found = compare(reference + change, reference, atom_centered(water, 2))
    assert len(found.epsilon_l) == 7
    assert all(value > 0 for value in found.epsilon_l)
    assert max(found.epsilon_l) <= sum(found.epsilon_l)
    assert found.epsilon <= sum(found.epsilon_l)
