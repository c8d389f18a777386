"""Constraints and metrics of a fit beyond charge and dipole; fields at nuclei."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from pyscf import gto

from densitylab.density import BasisError, GaussianBasis, Prior
from densitylab.density.at_points import evaluate
from densitylab.density.grid import atom_centered
from densitylab.density.integrals import as_mole, fields
from densitylab.density.nuclei import Nuclei
from densitylab.labels import FitSettings, LabelError, Level, calculate, fit_density
from densitylab.labels.level import molecule
from densitylab.structures import prepare
from densitylab.units import BOHR_TO_ANGSTROM, HARTREE_TO_KCAL_PER_MOL
from tests.density.reference import random_points, relative
from tests.labels.calculations import MINIMAL, SMALL, calculation, structure, toy_prior
from tests.labels.test_fit import COMPACT, OPEN_SHELL, density_of, fitted, jfit

ALL = ("charge", "dipole", "field")
CASES = [("water", SMALL), ("H3O+", MINIMAL), ("OH", OPEN_SHELL)]


def field_of(density) -> np.ndarray:
    return (fields(density.shells, density.nuclei.positions) @ density.coefficients).numpy()


def test_field_of_a_gaussian_charge():
    """Gauss: the field at distance r of a normalised s-function is (erf(x) − 2x exp(−x²)/√π) / r², x = √α r."""
    alpha, distance = 0.8, 1.3
    s = GaussianBasis("s", {"H": ((0, alpha),)}).shells(Atoms("H", positions=[[0, 0, 0]]))
    ours = fields(s, torch.tensor([[0.0, 0.0, distance]]))[0, :, 0] / s.charges()[0]
    x = math.sqrt(alpha) * distance
    expected = -(math.erf(x) - 2 * x * math.exp(-x * x) / math.sqrt(math.pi)) / distance**2  # ∇(1/r) points inwards
    assert torch.allclose(ours, torch.tensor([0.0, 0.0, expected], dtype=torch.float64), atol=1e-12)


def test_fields_are_slopes_of_the_potential():
    """All l up to 4, by central differences of libcint's potential of point charges."""
    shells, points, step = COMPACT.shells(structure("water")), random_points(1)[:4], 1e-4
    slopes = []
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        plus, minus = (gto.fakemol_for_charges(points.numpy() + s) for s in (shift, -shift))
        mole = as_mole(shells)
        both = [gto.intor_cross("int2c2e", mole, charges) for charges in (plus, minus)]
        slopes.append((both[0] - both[1]).T / (2 * step))
    pyscf_order = np.stack(slopes, axis=1)
    ours = fields(shells, points).numpy()
    # Sums over the functions of a shell in squares do not depend on their order; h²/6 of a third derivative is 1e-8.
    for l in range(5):
        _, functions = shells.functions(l)
        for shell in functions.numpy():
            assert np.allclose((ours[..., shell] ** 2).sum(-1), (pyscf_order[..., shell] ** 2).sum(-1), atol=1e-6)
    coefficients = torch.zeros(shells.size, dtype=torch.float64)
    p = shells.functions(1)[1][0]  # ours −1, 0, +1 = y, z, x; PySCF x, y, z
    coefficients[p] = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert np.allclose(ours @ coefficients.numpy(), pyscf_order[..., int(p[0])], atol=1e-6)


@pytest.mark.parametrize(("name", "level"), CASES)
def test_nuclear_fields_of_orbitals(name, level):
    """Against central differences of the potential at points next to each nucleus."""
    result, step = calculation(name, level), 1e-3
    mole, nuclei = molecule(result.atoms, level), Nuclei.from_atoms(result.atoms).positions.numpy()

    def potential(point):
        with mole.with_rinv_origin(point):
            return np.einsum("ij,ij", mole.intor("int1e_rinv"), result.density_matrix())

    expected = [[(potential(r + s) - potential(r - s)) / (2 * step) for s in step * np.eye(3)] for r in nuclei]
    # At a nucleus the potential has a third derivative of about 10 Z⁴; h²/6 of it is 1e-3 relative to a cusp's 1e2.
    assert np.abs(result.nuclear_fields - expected).max() < 2e-3


@pytest.mark.parametrize("prior", [Prior.none(), toy_prior()], ids=["no prior", "prior"])
@pytest.mark.parametrize(("name", "level"), CASES)
def test_field_at_every_nucleus_is_exact(name, level, prior):
    result = calculation(name, level)
    plain, exact = (
        fit_density(result, COMPACT, prior, FitSettings(names, grid_level=0)) for names in (("charge",), ALL)
    )
    density = density_of(result, COMPACT, prior, exact.coefficients)
    assert np.abs(field_of(density) - result.nuclear_fields).max() < 1e-7  # rounding of a field of about 10
    assert np.abs(density.dipole().numpy() - result.dipole).max() < 1e-8
    assert abs(exact.residuals["electrons"]) < 1e-9
    assert exact.residuals["force_hartree_per_bohr"] < 1e-6 < 1e-4 < plain.residuals["force_hartree_per_bohr"]


def test_force_residual_is_the_error_of_hellmann_feynman_forces():
    result = calculation("water", SMALL)
    fit = fit_density(result, COMPACT, toy_prior(), FitSettings(grid_level=0))
    density = density_of(result, COMPACT, toy_prior(), fit.coefficients)
    error = result.atoms.numbers[:, None] * (field_of(density) - result.nuclear_fields)
    assert fit.residuals["force_hartree_per_bohr"] == pytest.approx(np.abs(error).mean(), rel=1e-9)


def test_redundant_constraints_do_no_harm():
    """In H₂ on an axis, half of the field vanishes by symmetry, and what is left is one number twice."""
    atoms = prepare(Atoms("H2", positions=[[0, 0, -0.37], [0, 0, 0.37]]))
    result = calculate(atoms, MINIMAL)
    density = fitted(result, COMPACT, Prior.none(), FitSettings(ALL, grid_level=0))
    assert np.abs(field_of(density) - result.nuclear_fields).max() < 1e-7
    assert float(density.electrons()) == pytest.approx(2, abs=1e-9)


def test_field_that_a_basis_cannot_make():
    """Two s-functions per atom make a field along the bonds and have no room for what is asked across them."""
    tight = GaussianBasis("s", {"H": ((0, 1.0),), "O": ((0, 2.0),)})
    with pytest.raises(BasisError, match="cannot fulfil the constraints"):
        fit_density(calculation("water", SMALL), tight, Prior.none(), FitSettings(ALL, grid_level=0))


@pytest.mark.parametrize("prior", [Prior.none(), toy_prior()], ids=["no prior", "prior"])
def test_overlap_metric_leaves_an_orthogonal_rest(prior):
    """The best L2 fit: the rest of the density has no overlap with any function, by quadrature."""
    result = calculation("water", SMALL)
    density = fitted(result, COMPACT, prior, FitSettings((), "overlap", grid_level=0))
    grid = atom_centered(result.atoms, 4)
    rest = result.density_values(grid.points) - density.values(grid.points)
    shells = COMPACT.shells(result.atoms)
    unit = torch.eye(shells.size, dtype=torch.float64)
    projections = [
        float(grid.integrate(rest * evaluate(shells, unit[k], grid.points))) for k in range(0, shells.size, 5)
    ]
    norm = float(grid.integrate(rest**2)) ** 0.5
    assert np.abs(projections).max() < 1e-3 * norm  # the quadrature's own error


def test_metrics_differ_and_are_told_apart():
    result, keys = calculation("water", SMALL), set()
    fits = {}
    for metric in ("coulomb", "overlap"):
        settings = FitSettings(("charge",), metric, grid_level=0)
        keys.add(settings.key("calculation", {"H", "O"}, COMPACT, Prior.none()))
        fits[metric] = fit_density(result, COMPACT, Prior.none(), settings).coefficients
    assert len(keys) == 2
    assert 1e-4 < relative(fits["coulomb"], fits["overlap"]) < 1


def test_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="unknown metric 'coulumb' \\(known: coulomb, overlap\\)"):
        FitSettings(metric="coulumb")


# ------------------------------------------------------------------------------------------------ dispersion, engine


@pytest.mark.parametrize("dispersion", ["d3bj", "d4"])
def test_dispersion_is_in_energy_and_forces(dispersion):
    """PBE with a damped dispersion: the same density, another energy; the difference has its own slope as a force."""
    plain = Level("PBE", "sto-3g", grid_level=0)
    level = Level("PBE", "sto-3g", grid_level=0, dispersion=dispersion)
    without, with_it = (calculation("dimer", each) for each in (plain, level))
    assert with_it.energy - without.energy == pytest.approx(with_it.energies["dispersion"], abs=1e-8)
    assert -0.02 < with_it.energies["dispersion"] < -1e-4  # attractive, a kcal/mol or so
    moved = structure("dimer")
    step = 1e-3
    energies = []
    for sign in (1, -1):
        moved.positions[3:, 0] += sign * step if sign == 1 else -2 * step
        energies.append(calculate(moved, level).energies["dispersion"])
    slope = (energies[0] - energies[1]) / (2 * step) * BOHR_TO_ANGSTROM
    pull = (with_it.forces - without.forces)[3:, 0].sum()
    assert pull == pytest.approx(-slope, rel=0.05, abs=1e-6)  # D4's charges follow the geometry: a few per cent
    assert with_it.key != without.key


def test_dispersion_without_parameters():
    with pytest.raises(LabelError, match="no d4 dispersion for LDA,VWN"):
        calculate(structure("H2"), Level("LDA,VWN", "sto-3g", dispersion="d4"))


def test_gpu_engine_where_there_is_none():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(LabelError, match=r"labels\.engine=gpu4pyscf cannot run here"):
        calculate(structure("H2"), MINIMAL, engine="gpu4pyscf")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU and gpu4pyscf")
def test_gpu_engine_gives_the_same_numbers():
    pytest.importorskip("gpu4pyscf")
    here, there = calculation("dimer", SMALL), calculate(structure("dimer"), SMALL, engine="gpu4pyscf")
    assert there.energy == pytest.approx(here.energy, abs=1e-6)
    assert np.abs(there.forces - here.forces).max() < 1e-5
    assert np.abs(there.density_matrix() - here.density_matrix()).max() < 1e-4


def test_a_level_of_another_program_is_not_run():
    with pytest.raises(LabelError, match="of psi4 can be imported, not calculated here"):
        calculate(structure("H2"), Level("HF", "sto-3g", program="psi4"))


@pytest.mark.slow
def test_hellmann_feynman_forces_of_facts():
    """FACTS.md §0 in kind: sigmaDZHF orbitals give forces, a plain fit ruins them, the field constraint does not."""
    to_kcal = HARTREE_TO_KCAL_PER_MOL / BOHR_TO_ANGSTROM
    result = calculate(structure("dimer"), Level("PBE0", "sigmaDZHF", grid_level=5))
    repulsion = nuclear_fields(result)
    orbital = result.atoms.numbers[:, None] * (repulsion + result.nuclear_fields)
    assert np.abs(orbital - result.forces).mean() * to_kcal < 0.6  # 0.375 there
    plain = fit_density(result, jfit(), Prior.none(), FitSettings())
    exact = fit_density(result, jfit(), Prior.none(), FitSettings(ALL))
    assert 20 < plain.residuals["force_hartree_per_bohr"] * to_kcal < 50  # 33.7 there
    assert exact.residuals["force_hartree_per_bohr"] * to_kcal < 1e-3
    assert exact.residuals["epsilon_floor_percent"] < 1.2 * plain.residuals["epsilon_floor_percent"]  # 0.690 → 0.742


def nuclear_fields(result) -> np.ndarray:
    """(A, 3) field of the other nuclei."""
    nuclei = Nuclei.from_atoms(result.atoms)
    r, z = nuclei.positions.numpy(), nuclei.charges.numpy()
    difference = r[:, None] - r[None]
    cubed = np.linalg.norm(difference, axis=-1) ** 3
    np.fill_diagonal(cubed, 1)
    return (z[None, :, None] * difference / cubed[..., None]).sum(1)
