import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.data.colors import jmol_colors
from matplotlib.image import imread

from densitylab.report.drawing import draw_sheet, facing
from densitylab.structures.water_bulk import bulk_water


@pytest.fixture
def draw(tmp_path):
    def draw(*structures: Atoms, **options) -> np.ndarray:
        """The picture, (rows, columns, 3) in 0-1."""
        draw_sheet(list(structures), [""] * len(structures), tmp_path / "sheet.png", **options)
        return imread(tmp_path / "sheet.png")[:, :, :3]

    return draw


def coloured(picture: np.ndarray, symbol: str) -> np.ndarray:
    """(rows, columns) where the picture is within 0.1 of the element's colour."""
    number = Atoms(symbol).numbers[0]
    return np.abs(picture - jmol_colors[number]).max(axis=-1) < 0.1


def test_every_element_is_seen_in_its_colour(draw):
    picture = draw(Atoms("OCSN", positions=[[0, 0, 0], [3, 0, 0], [6, 0, 0], [9, 0, 0]]))
    areas = {symbol: coloured(picture, symbol).sum() for symbol in "OSN"}
    assert min(areas.values()) > 100  # pixels
    assert areas["S"] > 1.5 * areas["O"]  # covalent radii 1.05 and 0.66 Å


def test_what_is_nearer_hides_what_is_behind(draw):
    """A flat square, so that we look along z, and two balls of one size above and below its middle."""
    square = [[-5, -5, 0], [5, -5, 0], [-5, 5, 0], [5, 5, 0]]
    atoms = Atoms("He4OO", positions=[*square, [0, 0, 1.5], [0, 0, -1.5]])
    front, back = (4, 5) if facing(atoms.positions)[4, 2] > facing(atoms.positions)[5, 2] else (5, 4)
    atoms.numbers[[front, back]] = 8, 7
    picture = draw(atoms)
    assert coloured(picture, "O").sum() > 100
    assert coloured(picture, "N").sum() == 0


def test_facing_turns_and_does_not_mirror():
    positions = np.random.default_rng(0).normal(size=(7, 3)) * [1, 5, 2]
    found = facing(positions)
    spans = np.abs(found).max(axis=0)
    assert spans[0] > spans[1] > spans[2]
    first, second = (p[1:4] - p[0] for p in (positions, found))
    assert np.linalg.det(second) == pytest.approx(np.linalg.det(first))
    assert second @ second.T == pytest.approx(first @ first.T)


@pytest.mark.parametrize("atoms", [Atoms("He"), Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])])
def test_atom_and_line(draw, atoms):
    assert (draw(atoms) < 0.9).any()


def test_panels(draw):
    """Five structures in rows of two make three rows; a lone one fills the picture."""
    water = molecule("H2O")
    sheet, lone = draw(*[water] * 5, columns=2), draw(water)
    assert sheet.shape[0] / sheet.shape[1] == pytest.approx(1.5 * 1.03, rel=0.02)
    panels = [coloured(part, "O").sum() for row in np.array_split(sheet, 3) for part in np.array_split(row, 2, axis=1)]
    assert min(panels[:5]) > 50
    assert panels[5] == 0
    assert coloured(lone, "O").sum() > 2 * panels[0]


def test_twenty_thousand_atoms(draw):
    (atoms,) = bulk_water(6700)
    start = time.perf_counter()
    picture = draw(atoms)
    assert time.perf_counter() - start < 60  # it takes two seconds
    assert (picture < 0.9).any(axis=-1).mean() > 0.3  # the droplet fills the picture
