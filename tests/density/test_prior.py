"""``Prior`` as a container; the atoms themselves are tested in tests/labels/test_atoms.py."""

import json

import pytest
import torch

from densitylab.density import BasisError, Density, Prior
from tests.density.reference import random_points, relative
from tests.labels.calculations import toy_prior


def test_density_holds_the_electrons_of_its_atoms(water):
    density = toy_prior().density(water)
    assert float(density.electrons()) == pytest.approx(10, rel=1e-13)  # rounding
    assert float(density.charge()) == pytest.approx(0, abs=1e-12)
    assert set(density.l.tolist()) == {0}


def test_density_is_the_sum_of_its_atoms(water):
    points = random_points(0)
    parts = [toy_prior().density(water[[k]]).values(points) for k in range(3)]
    assert relative(toy_prior().density(water).values(points), sum(parts)) < 1e-13  # rounding


def test_density_is_written_out(water):
    """Σ c (2α/π)^(3/4) exp(-α|r - R|²)."""
    points, density = random_points(1, 20), toy_prior().density(water)
    total = torch.zeros(20, dtype=torch.float64)
    for symbol, position in zip(water.symbols, density.nuclei.positions, strict=True):
        for alpha, c in toy_prior().atoms[symbol]:
            distance2 = (points - position).square().sum(1)
            total += c * (2 * alpha / torch.pi) ** 0.75 * torch.exp(-alpha * distance2)
    assert relative(density.values(points), total) < 1e-13  # rounding


def test_spherical_atoms_have_the_dipole_of_nothing(water):
    assert toy_prior().density(water).dipole().abs().max() < 1e-13  # rounding of sums of order 10


def test_missing_element_is_named(water):
    with pytest.raises(BasisError, match=r"half has no atom O .*H"):
        Prior("half", {"H": ((1.0, 1.0),)}).density(water)


def test_no_prior_is_an_empty_density(water):
    density = Prior.none().density(water)
    assert isinstance(density, Density)
    assert density.coefficients.shape == (0,)
    assert float(density.electrons()) == 0
    assert float(density.charge()) == 10
    assert density.values(random_points(0, 4)).tolist() == [0, 0, 0, 0]
    both = density + toy_prior().density(water)
    assert float(both.electrons()) == pytest.approx(10, rel=1e-13)


def test_description_round_trip_is_exact():
    prior = toy_prior()
    again = Prior.from_description(json.loads(json.dumps(prior.describe())))
    assert again == prior
    assert again.hash == prior.hash
    assert Prior.from_description(json.loads(json.dumps(Prior.none().describe()))) == Prior.none()


def test_hash_is_of_content_only():
    prior = toy_prior()
    assert Prior("another name", dict(reversed(prior.atoms.items()))).hash == prior.hash
    assert Prior("toy", {**prior.atoms, "H": ((0.4, 0.5),)}).hash != prior.hash
