import numpy as np
import pytest

from densitylab.structures import StructureError
from densitylab.structures.water import carve, liquid_clusters

QUICK = {"melt_ps": 0.02, "equilibration_ps": 0.02}
MOLECULE = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])


# --------------------------------------------------------------------------------------------------------- carve


def box_of_molecules(seed: int, edges: np.ndarray, number: int) -> np.ndarray:
    """Whole molecules around oxygens at random places, some of them many boxes away (positions are not wrapped)."""
    rng = np.random.default_rng(seed)
    oxygen = rng.uniform(0, edges, size=(number, 3)) + edges * rng.integers(-3, 4, size=(number, 3))
    return oxygen[:, None] + MOLECULE


def nearest_images(positions: np.ndarray, edges: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Distances of the oxygens by trying every image in turn."""
    wrapped = (positions[:, 0] - centre) % edges
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3) * edges
    return np.linalg.norm(wrapped[:, None] + shifts, axis=-1).min(axis=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [1, 5, 40])
def test_carve_takes_the_nearest_molecules_of_all_images(seed, size):
    edges = np.array([10.0, 12.0, 17.0])
    positions = box_of_molecules(seed, edges, 40)
    centre = np.random.default_rng(seed + 100).uniform(0, edges)
    atoms = carve(positions, edges, size, centre)
    assert str(atoms.symbols) == str(type(atoms)("OHH" * size).symbols)
    # 1e-9 Å: rounding of sums and differences of box edges
    assert np.allclose(atoms.positions.reshape(-1, 3, 3) - atoms.positions[::3, None], MOLECULE, rtol=0, atol=1e-9)
    found = np.linalg.norm(atoms.positions[::3], axis=1)
    assert np.allclose(found, np.sort(nearest_images(positions, edges, centre))[:size], rtol=0, atol=1e-9)


def test_carve_by_hand_across_the_boundary():
    """Box of 10 Å, centre near a corner: the molecule at x = 9.5 is 1 Å away, that at 2 is 1.5 Å, 5 is last."""
    places = np.array([[5.0, 0.5, 0.5], [2.0, 0.5, 0.5], [9.5, 0.5, 0.5]])
    atoms = carve(places[:, None] + MOLECULE, np.full(3, 10.0), 2, np.array([0.5, 0.5, 0.5]))
    assert np.allclose(atoms.positions[::3], [[-1, 0, 0], [1.5, 0, 0]], atol=1e-12)


def test_carve_does_not_depend_on_where_the_box_begins():
    edges = np.array([10.0, 11.0, 12.0])
    positions, centre = box_of_molecules(0, edges, 30), np.array([1.0, 9.0, 3.0])
    expected = carve(positions, edges, 8, centre).positions
    for shift in (edges * [1, -2, 3], np.array([3.3, -4.4, 0.1])):
        assert np.allclose(carve(positions + shift, edges, 8, centre + shift).positions, expected, atol=1e-9)


def test_carve_leaves_its_input_alone():
    edges = np.array([10.0, 11.0, 12.0])
    positions = box_of_molecules(0, edges, 5)
    before = positions.copy()
    carve(positions, edges, 3, np.zeros(3))
    assert np.array_equal(positions, before)


def test_carve_cannot_take_more_than_there_are():
    positions = box_of_molecules(0, np.full(3, 10.0), 5)
    assert len(carve(positions, np.full(3, 10.0), 5, np.zeros(3))) == 15
    with pytest.raises(ValueError, match="cannot carve 6 molecules from a box of 5"):
        carve(positions, np.full(3, 10.0), 6, np.zeros(3))


# ------------------------------------------------------------------------------------------------------ dynamics


@pytest.fixture(scope="module")
def clusters():
    return liquid_clusters([1, 3, 12], trajectories=2, seed=5, **QUICK)


def test_counts_groups_and_sizes(clusters):
    assert [atoms.info["size"] for atoms in clusters] == [1, 3, 12, 1, 3, 12]
    assert [len(atoms) for atoms in clusters] == [3, 9, 36, 3, 9, 36]
    assert [atoms.info["group"] for atoms in clusters] == ["water-300K-5"] * 3 + ["water-300K-6"] * 3
    assert all(atoms.info["charge"] == 0 and atoms.info["multiplicity"] == 1 for atoms in clusters)
    assert not any(atoms.pbc.any() for atoms in clusters)


def test_molecules_are_whole_and_apart(clusters):
    for atoms in clusters:
        assert str(atoms.symbols) == str(type(atoms)("OHH" * atoms.info["size"]).symbols)
        distances = atoms.get_all_distances()
        for oxygen in range(0, len(atoms), 3):
            # Å; vibrations at 500 K have an amplitude of about 0.03 Å around 0.96 Å
            assert all(0.8 < distances[oxygen, oxygen + k] < 1.3 for k in (1, 2))
            others = np.delete(distances[oxygen], [oxygen, oxygen + 1, oxygen + 2])
            assert (others > 1.3).all()
        assert 90 < atoms.get_angle(1, 0, 2) < 125


def test_clusters_are_compact(clusters):
    """12 molecules at the density of water fill a sphere of radius 4.4 Å."""
    (large, _) = (atoms for atoms in clusters if atoms.info["size"] == 12)
    radii = np.linalg.norm(large.positions[::3], axis=1)
    assert 3.3 < radii.max() < 6.0
    assert (np.diff(radii) >= 0).all()  # nearest first


def test_every_trajectory_and_size_is_cut_elsewhere(clusters):
    first, second = clusters[:3], clusters[3:]
    for a, b in zip(first, second, strict=True):
        assert np.abs(a.positions - b.positions).max() > 0.05
    assert np.abs(first[0].positions - first[1].positions[:3]).max() > 0.05  # a centre of its own for every size


def test_same_seed_same_clusters(clusters):
    """Deterministic enough: what was cut, and where. 1e-3 Å: rounding, grown for 80 steps of chaotic motion."""
    again = liquid_clusters([1, 3, 12], trajectories=1, seed=5, **QUICK)
    for a, b in zip(again, clusters[:3], strict=True):
        assert np.abs(a.positions - b.positions).max() < 1e-3


def test_snapshots_go_on_from_what_one_would_give(clusters):
    """The first frame is that of a trajectory without more of them; the next is later, and cut elsewhere."""
    first, second = liquid_clusters([3], trajectories=1, seed=5, snapshots=2, interval_ps=0.01, **QUICK)
    (alone,) = liquid_clusters([3], trajectories=1, seed=5, **QUICK)
    assert np.abs(first.positions - alone.positions).max() < 1e-3  # Å, as above
    assert np.abs(second.positions - first.positions).max() > 0.05
    assert first.info == second.info


@pytest.mark.slow
def test_same_seed_same_clusters_after_a_while():
    """The docstring: the list is the same for the same seed on the same machine."""
    first, second = (liquid_clusters([4], trajectories=1, melt_ps=0.5, equilibration_ps=0.5)[0] for _ in range(2))
    assert np.abs(first.positions - second.positions).max() < 1e-6


def test_too_many_molecules():
    with pytest.raises(ValueError, match="cannot carve 217 molecules from a box of 216"):
        liquid_clusters([217], trajectories=1, **QUICK)


def test_nothing_asked_nothing_done():
    assert liquid_clusters([1], trajectories=0, **QUICK) == []


@pytest.mark.parametrize("kelvin", [0.0, -300.0, 1e6])
def test_temperature_out_of_range(kelvin):
    with pytest.raises(StructureError, match="temperature_K must be between 1 and 1000"):
        liquid_clusters([1], trajectories=1, temperature_K=kelvin, **QUICK)


def test_no_cluster_of_no_molecules():
    with pytest.raises(StructureError, match="no atoms"):
        liquid_clusters([0], trajectories=1, **QUICK)


@pytest.mark.slow
def test_temperature_melts():
    """A longer run at 300 K: neighbours at the distance of liquid water, 2.8 Å (first peak of the O-O distances)."""
    (cluster,) = liquid_clusters([20], trajectories=1, seed=1, melt_ps=1.0, equilibration_ps=1.0)
    oxygen = cluster[::3].get_all_distances() + 99 * np.eye(20)
    assert 2.5 < np.median(oxygen.min(axis=1)) < 3.0
