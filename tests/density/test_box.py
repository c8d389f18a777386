import numpy as np
import pytest
import torch
from ase.io.cube import read_cube

from densitylab.density import Nuclei
from densitylab.density.box import Box, write_cube
from densitylab.units import ANGSTROM_TO_BOHR
from tests.density.reference import double


@pytest.fixture
def nuclei():
    return Nuclei(double((0.1, -0.4, 1.0), (1.5, 0.3, 0.2)), double(8, 1))


def test_points_are_evenly_spaced_around_the_nuclei(nuclei):
    box = Box.around(nuclei.positions, 0.25, 2.0)
    points = box.points().reshape(*box.shape, 3)
    torch.testing.assert_close(points[0, 0, 0], nuclei.positions.amin(0) - 2)
    # half a spacing: the box ends on a point
    torch.testing.assert_close(points[-1, -1, -1], nuclei.positions.amax(0) + 2, rtol=0, atol=0.125)
    for axis in range(3):
        steps = torch.diff(points, dim=axis)
        torch.testing.assert_close(steps, 0.25 * torch.eye(3, dtype=torch.float64)[axis].expand_as(steps))


def test_cube_files_are_read_back_by_others(nuclei, tmp_path):
    box = Box((-1.0, 0.5, 2.0), 0.3, (4, 3, 8))
    values = torch.as_tensor(np.random.default_rng(0).normal(size=96) * 1e-4)
    write_cube(tmp_path / "sub" / "x.cube", values, box, nuclei, "two words\nand a line")
    with (tmp_path / "sub" / "x.cube").open() as file:
        found = read_cube(file)
    # six digits of a value, six decimals of a length
    np.testing.assert_allclose(found["data"].ravel(), values, rtol=1e-5)
    np.testing.assert_allclose(found["origin"] * ANGSTROM_TO_BOHR, box.origin, atol=2e-6)
    np.testing.assert_allclose(np.diag(found["spacing"]) * ANGSTROM_TO_BOHR, 0.3, atol=2e-6)
    np.testing.assert_allclose(found["atoms"].positions * ANGSTROM_TO_BOHR, nuclei.positions, atol=2e-6)
    assert found["atoms"].numbers.tolist() == [8, 1]


def test_values_that_do_not_fit_are_refused(nuclei, tmp_path):
    with pytest.raises(ValueError, match="5 values for 24 points"):
        write_cube(tmp_path / "x.cube", torch.zeros(5), Box((0.0, 0.0, 0.0), 1.0, (2, 3, 4)), nuclei)
    assert not list(tmp_path.iterdir())


def test_nuclei_become_atoms(nuclei):
    atoms = nuclei.to_atoms()
    assert atoms.get_chemical_formula() == "HO"
    torch.testing.assert_close(Nuclei.from_atoms(atoms).positions, nuclei.positions)
