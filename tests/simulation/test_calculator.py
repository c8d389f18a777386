import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError

import densitylab
from densitylab.dataset.familiarity import UnfamiliarError
from tests.model.saved import save_random_model
from tests.model.suite import waters


@pytest.fixture(scope="module")
def calculator(tmp_path_factory):
    return densitylab.Calculator(save_random_model(tmp_path_factory.mktemp("model")))


def test_charges_and_dipole_belong_to_the_density(calculator):
    atoms = waters(2)
    atoms.calc = calculator
    assert atoms.get_charges().shape == (6,)
    # 1e-9 e: electrons of the toy prior
    assert atoms.get_charges().sum() == pytest.approx(0, abs=1e-9)
    bohr = 0.529177210903  # Å; CODATA 2018 and 2022 differ in the tenth digit
    np.testing.assert_allclose(atoms.get_dipole_moment(), calculator.density.dipole() * bohr, rtol=1e-8)


def test_it_predicts_again_only_when_something_has_changed(calculator):
    atoms = waters(1)
    atoms.calc = calculator
    atoms.get_charges()
    first = calculator.density
    atoms.get_dipole_moment()
    assert calculator.density is first
    atoms.positions[0, 0] += 0.01
    atoms.get_dipole_moment()
    assert calculator.density is not first


def test_another_charge_is_another_calculation(calculator):
    atoms = waters(1)
    atoms.calc = densitylab.Calculator(calculator.predictor, strange=True)
    assert atoms.get_charges().sum() == pytest.approx(0, abs=1e-9)
    atoms.info |= {"charge": -1, "multiplicity": 2}
    assert atoms.get_charges().sum() == pytest.approx(-1, abs=1e-9)


def test_there_are_no_forces_without_a_model_of_them(calculator):
    atoms = waters(1)
    atoms.calc = calculator
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_forces()


def test_strange_chemistry(calculator):
    atoms = molecule("OH")
    atoms.calc = calculator
    with pytest.raises(UnfamiliarError, match=r"O\(H\)"):
        atoms.get_charges()
    atoms.calc = densitylab.Calculator(calculator.predictor, strange=True)
    assert atoms.get_charges().sum() == pytest.approx(0, abs=1e-9)


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'loda'"):
        densitylab.loda  # noqa: B018
