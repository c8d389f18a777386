"""The guess from a density that is known exactly: that of a converged calculation, in a large density basis."""

import numpy as np
import pytest
import torch
from pyscf import dft, gto

from densitylab.density import Density
from densitylab.density.basis import even_tempered
from densitylab.density.guess import initial_guess
from densitylab.labels import Level, Store, calculate
from densitylab.labels.atoms import superposed_atoms
from densitylab.labels.fit import FitSettings, fit_density
from densitylab.labels.level import molecule
from tests.labels.calculations import structure

PBE = Level("PBE", "def2-SVP", grid_level=1)


@pytest.fixture(scope="module")
def water(tmp_path_factory):
    """A converged calculation and its density, fitted to a small part of a per cent."""
    result = calculate(structure("water"), PBE)
    prior = superposed_atoms({"H", "O"}, PBE, Store(tmp_path_factory.mktemp("store")))
    basis = even_tempered(PBE.basis, {"H", "O"}, 1.7)
    fit = fit_density(result, basis, prior, FitSettings(grid_level=0))
    assert fit.residuals["epsilon_floor_percent"] < 0.2
    density = Density.from_basis(basis, result.atoms, torch.as_tensor(fit.coefficients)) + prior.density(result.atoms)
    return result, density


def cycles(mole, guess) -> int:
    solver = dft.RKS(mole, xc="PBE").density_fit()
    solver.grids.level, done = 1, []
    solver.callback = lambda local: done.append(local["cycle"])
    solver.kernel(dm0=guess)
    assert solver.converged
    return len(done)


def test_the_guess_is_almost_the_solution(water):
    """The same functional from the same density: one diagonalisation gives back the orbitals it came from."""
    result, density = water
    mole = molecule(result.atoms, PBE)
    guess = density.to_pyscf_guess(mole)
    overlap = mole.intor("int1e_ovlp")
    assert np.trace(guess @ overlap) == pytest.approx(10, abs=1e-10)
    # 0.02 of 10 electrons: what the fit leaves (0.2 %) and the coarse grid of the guess
    difference = guess - result.density_matrix()
    assert abs(np.trace(difference @ overlap @ difference @ overlap)) ** 0.5 < 0.02
    energy = dft.RKS(mole, xc="PBE").density_fit().energy_tot(dm=guess)
    assert 0 < energy - result.energy < 1e-3  # above the minimum, by what is of second order


def test_it_saves_iterations(water):
    result, density = water
    mole = molecule(result.atoms, PBE)
    best = min(cycles(mole, dft.RKS(mole).get_init_guess(key=key)) for key in ("minao", "atom", "huckel"))
    assert cycles(mole, density.to_pyscf_guess(mole)) < best


def test_open_shells_fill_the_same_orbitals(water):
    result, density = water
    cation = gto.M(atom=molecule(result.atoms, PBE).atom, unit="Bohr", basis="def2-SVP", charge=1, spin=1, verbose=0)
    alpha, beta = initial_guess(density, cation)
    overlap = cation.intor("int1e_ovlp")
    assert [np.trace(spin @ overlap) for spin in (alpha, beta)] == pytest.approx([5, 4])


def test_a_local_functional_needs_no_gradient(water):
    result, density = water
    mole = molecule(result.atoms, PBE)
    assert np.trace(initial_guess(density, mole, "LDA,VWN") @ mole.intor("int1e_ovlp")) == pytest.approx(10)


def test_what_has_no_guess_is_refused(water):
    result, density = water
    mole = molecule(result.atoms, PBE)
    with pytest.raises(ValueError, match="TPSS is no local density or gradient functional"):
        initial_guess(density, mole, "TPSS")
    with pytest.raises(ValueError, match="the same nuclei"):
        initial_guess(density, gto.M(atom="O 0 0 0; H 1 0 0; H 0 1 0", verbose=0))
