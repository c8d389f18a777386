from dataclasses import replace

import numpy as np
import pytest
import torch
from pyscf import cc, mp

from densitylab.density.grid import atom_centered
from densitylab.labels import FitSettings, LabelError, Level, Store, calculate, fit_density
from densitylab.labels.correlated import correlate, natural_orbitals
from densitylab.labels.level import molecule
from densitylab.labels.records import load_calculation, save_calculation
from densitylab.labels.scf import _solver
from densitylab.units import BOHR_TO_ANGSTROM
from tests.labels.calculations import calculation, structure, toy_prior
from tests.labels.test_fit import COMPACT

HF = Level("HF", "6-31g", density_fit=False, energy_tolerance_hartree=1e-10)
CCSD = replace(HF, correlation="CCSD")
METHODS = ["MP2", "CCSD", "CCSD(T)"]
FIELD = 1e-3  # hartree/(e·bohr)


def energy_in_field(name: str, level: Level, field: np.ndarray) -> float:
    """The energy of a level in a uniform electric field, set up by hand."""
    mole = molecule(structure(name), level)
    solver = _solver(mole, HF)
    core = solver.get_hcore() + np.einsum("x,xij->ij", field, mole.intor("int1e_r"))
    solver.get_hcore = lambda *_: core
    solver.conv_tol = 1e-12
    solver.kernel()
    nuclei = -mole.atom_charges() @ mole.atom_coords() @ field
    if level.correlation is None:
        return solver.e_tot + nuclei
    correlated = (mp.MP2 if level.correlation == "MP2" else cc.CCSD)(solver)
    if level.frozen_core:
        correlated.set_frozen()
    correlated.conv_tol, correlated.conv_tol_normt = 1e-11, 1e-8
    correlated.kernel()
    return correlated.e_tot + nuclei + (correlated.ccsd_t() if level.correlation == "CCSD(T)" else 0)


def finite_field_dipole(name: str, level: Level) -> np.ndarray:
    """(3,) −dE/dF, e·bohr."""
    steps = FIELD * np.eye(3)
    return np.array([energy_in_field(name, level, -f) - energy_in_field(name, level, f) for f in steps]) / (2 * FIELD)


RELAXED = [
    ("water", HF),
    *(("water", replace(HF, correlation=m, frozen_core=f)) for m in METHODS for f in (True, False)),
]
RELAXED += [("OH", replace(HF, correlation=m)) for m in ("MP2", "CCSD")]


@pytest.mark.parametrize(("name", "level"), RELAXED, ids=lambda case: f"{case}{getattr(case, 'frozen_core', '') or ''}")
def test_dipole_of_relaxed_density_is_the_derivative_of_the_energy(name, level):
    # The central difference leaves out F²/6 of the second hyperpolarisability: 5e-6 e·bohr at Hartree-Fock as well.
    assert np.abs(calculation(name, level).dipole - finite_field_dipole(name, level)).max() < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_unrelaxed_density_differs_from_the_relaxed_one(method):
    """By what the literature and docs/labels.md say: least for CCSD(T), most for MP2, never by nothing."""
    level = replace(HF, correlation=method)
    relaxed, fixed = calculation("water", level), calculation("water", replace(level, relaxed=False))
    difference = np.abs(relaxed.dipole - fixed.dipole).max()
    assert {"MP2": 1e-2, "CCSD": 1e-3, "CCSD(T)": 1e-4}[method] < difference < 0.03
    assert relaxed.key != fixed.key
    assert relaxed.energy == pytest.approx(fixed.energy, abs=1e-8)


@pytest.mark.parametrize("name", ["water", "OH"])
def test_unrelaxed_density_is_that_of_pyscf(name):
    ours = calculation(name, replace(CCSD, relaxed=False))
    solver = cc.CCSD(_solver(molecule(structure(name), HF), HF).run())
    solver.run().solve_lambda()
    expected = np.asarray(solver.make_rdm1(ao_repr=True))
    expected = expected if expected.ndim == 2 else expected.sum(0)
    assert np.abs(ours.density_matrix() - expected).max() < 1e-4  # PySCF's own thresholds for the amplitudes are 1e-5
    assert ours.energy == pytest.approx(solver.e_tot, abs=1e-6)


@pytest.mark.parametrize(("name", "method"), [("water", "CCSD"), ("water", "CCSD(T)"), ("OH", "CCSD"), ("OH", "MP2")])
def test_forces_are_the_slope_of_the_energy(name, method):
    level = replace(HF, correlation=method)
    atoms, step = structure(name), 2e-3
    energies = []
    for shift in (step, -step):
        moved = atoms.copy()
        moved.positions[0, 0] += shift * BOHR_TO_ANGSTROM
        energies.append(calculate(moved, level).energy)
    # h²/6 times a third derivative of about 1 hartree/bohr³
    assert calculation(name, level).forces[0, 0] == pytest.approx((energies[1] - energies[0]) / (2 * step), abs=5e-6)


def test_energies_of_the_ladder_stand_side_by_side(tmp_path):
    """So that Δ-learning and transfer learning can pair levels; they survive the store."""
    ladder = calculation("water", CCSD)
    assert list(ladder.energies) == ["HF", "MP2", "CCSD", "CCSD(T)"]
    for name, level in [("HF", HF), *((m, replace(HF, correlation=m)) for m in METHODS)]:
        assert calculation("water", level).energy == pytest.approx(ladder.energies[name], abs=1e-7)
    store = Store(tmp_path)
    save_calculation(store, ladder)
    loaded = load_calculation(store, ladder.key)
    assert loaded.energies == ladder.energies
    assert loaded.level == ladder.level
    assert loaded.programs["pyscf"]


@pytest.mark.parametrize("name", ["water", "OH"])
def test_natural_orbitals_make_the_density(name):
    result = calculation(name, CCSD)
    grid = atom_centered(result.atoms, 3)
    electrons = {"water": 10, "OH": 9}[name]
    assert result.occupations.sum() == pytest.approx(electrons, abs=1e-9)
    # 1e-3: the usual accuracy of a level-3 grid
    assert float(grid.integrate(result.density_values(grid.points))) == pytest.approx(electrons, abs=1e-3)
    matrices = np.random.default_rng(0).normal(size=(4, 4))
    overlap = np.eye(4) + 0.1
    orbitals, occupations = natural_orbitals(matrices + matrices.T, overlap)
    assert np.allclose((orbitals * occupations) @ orbitals.T, matrices + matrices.T, atol=1e-12)
    assert np.allclose(orbitals.T @ overlap @ orbitals, np.eye(4), atol=1e-12)


def test_correlated_density_is_fitted_like_any_other():
    result = calculation("water", CCSD)
    fit = fit_density(result, COMPACT, toy_prior(), FitSettings(grid_level=0))
    assert fit.residuals["electrons"] == pytest.approx(0, abs=1e-9)
    grid = atom_centered(result.atoms, 1)
    difference = result.density_values(grid.points) - calculation("water", HF).density_values(grid.points)
    moved = float(grid.integrate(torch.abs(difference)))
    assert 0.02 < moved < 0.5  # electrons that correlation moves in water: about a tenth


# --------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correlation": "CCSDT"}, "unknown correlation CCSDT"),
        ({"functional": "PBE0"}, "CCSD stands on Hartree-Fock"),
        ({"density_fit": True}, "no gradient with density fitting"),
    ],
)
def test_levels_that_contradict_themselves(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CCSD, **change)


def test_open_shell_triples_are_refused():
    with pytest.raises(LabelError, match="CCSD labels have the CCSD\\(T\\) energy"):
        calculate(structure("OH"), replace(HF, correlation="CCSD(T)"))


def test_amplitudes_that_do_not_converge():
    """An energy tolerance of 1e-30 is below rounding; the SCF before it has a sensible one."""
    solver = _solver(molecule(structure("H2"), HF), HF).run()
    with pytest.raises(LabelError, match="amplitudes did not converge in 50 cycles"):
        correlate(solver, replace(CCSD, energy_tolerance_hartree=1e-30))
