"""units.py against SciPy's CODATA tables; they differ from ours by the digits that we left out."""

import pytest
from scipy import constants

from densitylab import units


def codata(name):
    return constants.physical_constants[name][0]


HARTREE_J, BOHR_M = codata("Hartree energy"), codata("Bohr radius")


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (units.BOHR_TO_ANGSTROM, BOHR_M * 1e10),
        (units.ANGSTROM_TO_BOHR, 1e-10 / BOHR_M),
        (units.HARTREE_TO_EV, HARTREE_J / constants.e),
        (units.HARTREE_TO_KCAL_PER_MOL, HARTREE_J * constants.N_A / constants.calorie / 1e3),
        (units.EBOHR_TO_DEBYE, constants.e * BOHR_M * constants.c * 1e21),
        (units.FEMTOSECOND_TO_ASE_TIME, 1e-5 / (codata("atomic mass constant") / constants.e) ** 0.5),
        (units.HARTREE_PER_BOHR_TO_EV_PER_ANGSTROM, HARTREE_J / constants.e / (BOHR_M * 1e10)),
    ],
)
def test_constant(ours, expected):
    # 1e-9: CODATA 2018 and 2022 differ by less, so this holds with an older SciPy as well
    assert ours == pytest.approx(expected, rel=1e-9)


def test_angstrom_and_bohr_are_inverse():
    assert pytest.approx(1, abs=1e-15) == units.ANGSTROM_TO_BOHR * units.BOHR_TO_ANGSTROM
