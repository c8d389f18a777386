"""``densitylab predict`` through the real command line."""

import csv

import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.io.cube import read_cube

from densitylab.command import spelled_out
from densitylab.report.predictions import read_density
from tests.labels.calculations import single_thread
from tests.model.saved import save_random_model
from tests.model.suite import waters
from tests.tasks.command import start


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder with a model and a file of two structures, where the user is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    save_random_model(tmp_path / "net")
    ase.io.write("two waters.xyz", [waters(1), waters(2)], plain=True)
    with single_thread():
        yield


def test_everything_that_can_be_written(tmp_path, capfd):
    products = "task.write=[extxyz,hdf5,cube,surface]"
    assert start("predict", "two waters.xyz", "task.model=net", products, "task.spacing=0.5", "name=it") == 0
    out = capfd.readouterr().out
    assert "H4O2" in out
    folder = tmp_path / "outputs/it"
    two = ase.io.read(folder / "predictions.extxyz", 1)
    assert two.get_charges().sum() == pytest.approx(0, abs=1e-6)  # eight digits in the file
    density = read_density(folder / "predictions.h5", "1")
    assert float(density.electrons()) == pytest.approx(20, abs=1e-9)
    assert density.nuclei.charges.tolist() == two.numbers.tolist()
    bohr = 0.529177210903
    np.testing.assert_allclose(two.get_dipole_moment(), density.dipole() * bohr, rtol=1e-6, atol=1e-8)
    with (folder / "0_two_waters.cube").open() as file:
        cube = read_cube(file)
    middle = tuple(n // 2 for n in cube["data"].shape)
    point = (cube["origin"] + np.diag(cube["spacing"]) * middle) / bohr
    expected = read_density(folder / "predictions.h5", "0").values(torch.as_tensor(point[None]))
    # lengths have six decimals, and the density changes by 1e1 of itself per bohr
    assert cube["data"][middle] == pytest.approx(float(expected[0]), rel=1e-4)
    assert (folder / "1_two_waters.png").read_bytes().startswith(b"\x89PNG")
    ply = (folder / "1_two_waters.ply").read_text().splitlines()
    assert ply[0] == "ply"
    vertices = int(next(line for line in ply if line.startswith("element vertex")).split()[-1])
    faces = int(next(line for line in ply if line.startswith("element face")).split()[-1])
    assert len(ply) == ply.index("end_header") + 1 + vertices + faces
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["formula"] for row in rows] == ["H2O", "H4O2"]
    assert float(rows[1]["charge / e"]) == pytest.approx(0, abs=1e-9)


def test_strange_chemistry_is_refused_or_marked(tmp_path, capfd):
    ase.io.write("odd.xyz", molecule("OH"))
    assert start("predict", "odd.xyz", "task.model=net", "name=no") == 2
    assert "never trained on structure 0: O(H) (atom 0)" in capfd.readouterr().err
    assert not (tmp_path / "outputs/no").exists()
    assert start("predict", "odd.xyz", "task.model=net", "task.strange=true", "name=yes") == 0
    assert "O(H) (atom 0)" in capfd.readouterr().out
    assert "never_seen" in (tmp_path / "outputs/yes/predictions.extxyz").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("predict", "nothing.xyz", "task.model=net"), "nothing.xyz: no such file"),
        (("predict", "two waters.xyz", "task.model=wate"), "wate is neither a folder with a model"),
        (("predict", "two waters.xyz", "task.model=net", "task.write=[cubes]"), "task.write"),
        (("predict", "task.model=net"), "task.path"),
        (("predikt", "a.xyz"), "predikt is neither a task nor of the form key=value, did you mean predict?"),
    ],
)
def test_bad_requests_end_with_2_and_a_sentence(words, expected, capfd):
    assert start(*words, "name=it") == 2
    assert expected in capfd.readouterr().err


def test_the_first_word_may_be_a_task():
    assert spelled_out(["predict", "a b.xyz"]) == ["task=predict", "task.path='a b.xyz'"]
    assert spelled_out(["predict", "a", "x=1", "b"]) == ["task=predict", "task.path=['a','b']", "x=1"]
    assert spelled_out(["train", "-cd", "mine", "seed=1"]) == ["task=train", "-cd", "mine", "seed=1"]
    assert spelled_out(["seed=1", "+experiment=x", "-m"]) == ["seed=1", "+experiment=x", "-m"]
    assert spelled_out(["export", r"it's\a"]) == ["task=export", r"task.path='it\'s\\a'"]
    assert spelled_out([]) == []
