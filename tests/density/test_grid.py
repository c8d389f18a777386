import numpy as np
import pytest
import torch

from densitylab.density import Density, from_basis_set_exchange
from densitylab.density.compare import epsilon
from densitylab.density.grid import Grid, atom_centered, uniform
from densitylab.labels import FitSettings, fit_density
from densitylab.units import BOHR_TO_ANGSTROM
from tests.labels.calculations import SMALL, calculation, structure, toy_prior


@pytest.mark.parametrize(("level", "tolerance"), [(0, 1e-2), (2, 1e-3), (4, 1e-4)])
def test_atom_centered_grid_counts_the_electrons_of_water(level, tolerance):
    """10 from the orbitals of PBE0/def2-SVP. The tolerances are the usual accuracy of these grids, with a margin."""
    grid = atom_centered(structure("water"), level)
    assert float(grid.integrate(calculation("water", SMALL).density_values(grid.points))) == pytest.approx(
        10, abs=tolerance
    )


@pytest.mark.parametrize("level", [0, 2, 4])
def test_atom_centered_grid_is_that_of_pyscf(water, level):
    """Of the level that was asked for, whatever the orbital basis. Points whose weight underflows do not count."""
    from pyscf import dft, gto

    mole = gto.M(
        atom=list(zip(water.symbols, water.positions / BOHR_TO_ANGSTROM, strict=True)),
        unit="Bohr",
        basis="sto-3g",
        verbose=0,
    )
    grids = dft.Grids(mole)
    grids.level = level
    grids.build()
    ours = atom_centered(water, level)
    assert ours.points.dtype == ours.weights.dtype == torch.float64

    def sorted_points(points, weights):
        rows = np.column_stack([points, weights])[np.asarray(weights) > 1e-12]
        return rows[np.lexsort(rows.round(9).T)]

    expected, found = sorted_points(grids.coords, grids.weights), sorted_points(ours.points, ours.weights)
    # 1e-9 bohr: rounding of positions; the weights of far points reach 1e3 bohr³ and follow
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["OH", "OH-", "dimer"])
def test_atom_centered_grid_of_any_charge_and_spin(name):
    grid = atom_centered(structure(name), 0)
    assert grid.points.shape == (len(grid.weights), 3)


def test_epsilon_of_level_2_agrees_with_level_4():
    """To 1 % of itself (DESIGN.md §2), for what ε is made for: a fit against the orbitals that it was made from."""
    water = structure("water")
    reference = calculation("water", SMALL)
    basis = from_basis_set_exchange("def2-universal-JFIT", ["H", "O"])
    fit = fit_density(reference, basis, toy_prior(), FitSettings(grid_level=0))
    density = Density.from_basis(basis, water, torch.as_tensor(fit.coefficients)) + toy_prior().density(water)
    coarse, fine = (
        epsilon(density.values(grid.points), reference.density_values(grid.points), grid, 10)
        for grid in (atom_centered(water, 2), atom_centered(water, 4))
    )
    assert coarse == pytest.approx(fine, rel=0.01)
    assert 0.1 < fine < 3  # the floor of this basis is 0.8 to 1.1 %: neither zero nor garbage


# ------------------------------------------------------------------------------------------------------- uniform


@pytest.mark.parametrize("spacing", [0.2, 0.31])
def test_uniform_grid_has_the_spacing_and_margin_that_were_asked_for(water, spacing):
    """The same on all axes, unlike the reference code (FACTS.md §1.8, no. 6)."""
    grid = uniform(water, spacing, margin_angstrom=1.5)
    points = grid.points.numpy() * BOHR_TO_ANGSTROM
    for axis in range(3):
        marks = np.unique(points[:, axis].round(9))
        assert np.allclose(np.diff(marks), spacing, atol=1e-8)  # the rounding above
        assert marks[0] == pytest.approx(water.positions[:, axis].min() - 1.5, abs=1e-8)
        assert abs(marks[-1] - (water.positions[:, axis].max() + 1.5)) <= spacing / 2 + 1e-8
    assert np.allclose(grid.weights, (spacing / BOHR_TO_ANGSTROM) ** 3, rtol=1e-12)  # rounding


def test_uniform_grid_integrates_what_is_smooth(water):
    """A Gaussian of exponent 0.5 bohr⁻² on O: the trapezoid rule converges as exp(-π²/(α h²)), h = 0.38 bohr: 1e-59."""
    grid = uniform(water, 0.2, margin_angstrom=4.0)
    center = torch.as_tensor(water.positions[0] / BOHR_TO_ANGSTROM)
    values = (0.5 / np.pi) ** 1.5 * torch.exp(-0.5 * (grid.points - center).square().sum(1))
    # 1e-6: the tail beyond 4 Å, erfc(√0.5 · 7.56) on each of six faces
    assert float(grid.integrate(values)) == pytest.approx(1, abs=1e-6)


# ------------------------------------------------------------------------------------------------------- epsilon


def by_hand():
    return Grid(torch.zeros(3, 3, dtype=torch.float64), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))


def test_epsilon_by_hand():
    """100 (0.5·2 + 1·1 + 2·0.5) / 4 = 75 %."""
    first = torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64)
    second = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    assert epsilon(first, second, by_hand(), 4) == pytest.approx(75, rel=1e-14)
    assert epsilon(second, first, by_hand(), 4) == pytest.approx(75, rel=1e-14)


def test_epsilon_of_a_density_with_itself_is_zero(water):
    grid = atom_centered(water, 0)
    values = toy_prior().density(water).values(grid.points)
    assert epsilon(values, values.clone(), grid, 10) == 0


@pytest.mark.parametrize(("first", "second"), [((3,), (2,)), ((2,), (2,)), ((3, 1), (3, 1)), ((1,), (3,)), ((), (3,))])
def test_epsilon_refuses_values_that_belong_to_another_grid(first, second):
    with pytest.raises(ValueError, match="3 points"):
        epsilon(torch.zeros(first), torch.zeros(second), by_hand(), 4)
