import time

import numpy as np
import pytest
from scipy.spatial import cKDTree

from densitylab.structures import StructureError
from densitylab.structures.bonds import molecules
from densitylab.structures.water_bulk import bulk_water, repeat
from tests.structures.test_water import MOLECULE, box_of_molecules


@pytest.mark.parametrize("order", [2, np.inf])
@pytest.mark.parametrize("size", [1, 7, 40, 300])
def test_nearest_of_all_images(size, order):
    """Against images tried one by one, far more of them than needed."""
    edges = np.array([8.0, 9.0, 11.0])
    positions, centre = box_of_molecules(3, edges, 20), np.array([1.0, 8.0, 4.0])
    found = repeat(positions, edges, size, centre, order)
    shifts = np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3), axis=-1).reshape(-1, 1, 3) * edges
    everywhere = np.linalg.norm(positions[:, 0] - centre + shifts, ord=order, axis=-1).ravel()
    # 1e-9 Å: rounding of sums and differences of box edges
    assert np.allclose(np.linalg.norm(found[:, 0], ord=order, axis=-1), np.sort(everywhere)[:size], rtol=0, atol=1e-9)
    assert np.allclose(found - found[:, :1], MOLECULE, rtol=0, atol=1e-9)
    assert len(cKDTree(found[:, 0]).query_pairs(1e-6)) == 0  # none twice


@pytest.mark.parametrize("shape", ["droplet", "box"])
def test_6400_molecules_of_liquid_water(shape):
    (atoms,) = bulk_water(6400, shape)
    oxygen = atoms.positions[::3]
    assert str(atoms.symbols[:6]) == "OH2OH2"
    assert atoms.info == {"size": 6400, "charge": 0, "multiplicity": 1, "group": f"water-{shape}-6400-0"}
    radius = np.linalg.norm(oxygen, axis=1).max()
    volume = 4 / 3 * np.pi * radius**3 if shape == "droplet" else np.prod(np.ptp(oxygen, axis=0))
    assert 6400 / volume == pytest.approx(0.0334, rel=0.03)  # molecules per Å³ at 1 g/cm³; the surface is ragged
    nearest = cKDTree(oxygen).query(oxygen, k=2)[0][:, 1]
    assert nearest.min() > 2.3  # Å: no molecules on top of each other where boxes meet
    assert 2.5 < np.median(nearest) < 2.8
    assert np.array_equal(molecules(atoms), np.repeat(np.arange(6400), 3))


def test_a_hundred_thousand_molecules():
    """The bar of the issue, less than two minutes, by far: it takes a second."""
    start = time.perf_counter()
    (atoms,) = bulk_water(100_000)
    assert len(atoms) == 300_000
    assert time.perf_counter() - start < 30


def test_seed_chooses_the_place():
    first, again, other = (bulk_water(50, seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first.positions, again.positions)
    assert np.abs(first.positions - other.positions).max() > 0.1


@pytest.mark.slow
def test_flexible_molecules():
    (atoms,) = bulk_water(500, temperature_K=300.0)
    lengths = np.linalg.norm(atoms.positions[1::3] - atoms.positions[::3], axis=1)
    assert 0.01 < lengths[:200].std() < 0.06  # Å; classical vibrations have 0.025
    assert molecules(atoms).max() + 1 == 500


@pytest.mark.parametrize("size", [0, -3, 100_001])
def test_size_out_of_range(size):
    with pytest.raises(StructureError, match=f"size must be between 1 and 100000, not {size}"):
        bulk_water(size)


@pytest.mark.parametrize("kelvin", [0.0, -300.0, 1e4])
def test_temperature_out_of_range(kelvin):
    with pytest.raises(StructureError, match="temperature_K must be between 1 and 1000"):
        bulk_water(10, temperature_K=kelvin)
