"""Each metric against a slow reference: quadrature, or PySCF on the difference density."""

import pytest
import torch
from pyscf import gto
from torch_geometric.data import Batch

from densitylab.dataset import graph_from_label
from densitylab.dataset.metric import errors
from densitylab.density import Density
from densitylab.density.conventions import standard_from_shells
from densitylab.density.grid import atom_centered
from densitylab.density.integrals import as_mole


def batch_and_difference(source, metric):
    """Two structures, a random Δc, and Δρ of each with a fine grid."""
    labels = [source.load(key) for key in list(source.infos())[:2]]
    batch = Batch.from_data_list([graph_from_label(label, ["H", "O"], 4.0, metric) for label in labels])
    generator = torch.Generator().manual_seed(0)
    difference = 0.1 * torch.randn(len(batch.coefficients), dtype=torch.float64, generator=generator)
    parts = difference.split(batch.num_functions.tolist())
    atoms = [label.calculation.atoms for label in labels]
    densities = [Density.from_basis(source.basis, a, part) for a, part in zip(atoms, parts, strict=True)]
    return batch, difference, densities, [atom_centered(a, level=6) for a in atoms]


def test_overlap_is_the_squared_l2_error(source):
    batch, difference, densities, grids = batch_and_difference(source, "overlap")
    expected = [
        float(grid.integrate(density.values(grid.points).square()))
        for density, grid in zip(densities, grids, strict=True)
    ]
    # the level-6 grid integrates products of the tightest functions (exponents to 1e3) to about 1e-5
    assert errors(difference, batch, "overlap").tolist() == pytest.approx(expected, rel=1e-4)


def test_coulomb_is_the_self_repulsion_of_the_error(source):
    """∬Δρ Δρ'/|r − r'| = ∫Δρ V, with PySCF's potential of every function at the grid's points."""
    batch, difference, densities, _ = batch_and_difference(source, "coulomb")
    expected = []
    for density, label in zip(densities, (source.load(key) for key in source.infos()), strict=False):
        grid = atom_centered(label.calculation.atoms, level=3)
        points = gto.fakemol_for_charges(grid.points.numpy())
        of_functions = gto.intor_cross("int2c2e", points, as_mole(density.shells))
        order = standard_from_shells("pyscf", density.l.numpy())
        potential = torch.as_tensor(of_functions[:, order]) @ density.coefficients
        expected.append(float(grid.integrate(density.values(grid.points) * potential)))
    # quadrature with the tightest functions, as above
    assert errors(difference, batch, "coulomb").tolist() == pytest.approx(expected, rel=1e-4)


def test_grid_is_the_absolute_error(source):
    batch, difference, densities, grids = batch_and_difference(source, "grid")
    expected = [
        float(grid.integrate(density.values(grid.points).abs())) for density, grid in zip(densities, grids, strict=True)
    ]
    # level 0 against level 6: random coefficients give a density with many kinks where it changes sign
    assert errors(difference, batch, "grid").tolist() == pytest.approx(expected, rel=0.05)


def test_points_are_a_fair_sample_chosen_by_the_seed_alone(source):
    batch, difference, _, _ = batch_and_difference(source, "grid")
    whole = errors(difference, batch, "grid")
    samples = torch.stack([errors(difference, batch, "grid", points=2000, seed=seed) for seed in range(40)])
    assert torch.equal(samples[3], errors(difference, batch, "grid", points=2000, seed=3))
    assert not torch.equal(samples[3], samples[4])
    # the mean of 40 samples lies within five of its own standard errors
    assert ((samples.mean(0) - whole).abs() < 5 * samples.std(0) / 40**0.5).all()


def test_coefficient_is_the_sum_of_squares(source):
    batch, difference, _, _ = batch_and_difference(source, "coefficient")
    expected = [float(part.square().sum()) for part in difference.split(batch.num_functions.tolist())]
    assert errors(difference, batch, "coefficient").tolist() == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["coefficient", "overlap", "coulomb", "grid"])
def test_every_metric_is_differentiable(source, metric):
    batch, difference, _, _ = batch_and_difference(source, metric)
    difference.requires_grad_(True)
    errors(difference, batch, metric).sum().backward()
    assert difference.grad.abs().sum() > 0
