import json
import re

import numpy as np
import pytest
import torch
from ase import Atoms

import densitylab
from densitylab.dataset.familiarity import UnfamiliarError
from densitylab.density import BasisError, Density
from densitylab.density.compare import compare
from densitylab.model.errors import ModelError
from densitylab.structures import StructureError, prepare
from tests.density.reference import random_points
from tests.labels.calculations import toy_prior
from tests.model.saved import save_random_model
from tests.model.suite import waters


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def predictor(folder):
    return densitylab.load(folder)


def test_a_prediction_is_a_whole_density(predictor):
    """Prior and Δρ: all electrons of all atoms, wherever the network puts them."""
    density = predictor.predict(waters(3))
    assert isinstance(density, Density)
    # 1e-9: the toy prior holds its electrons to rounding, and charge is conserved to 1e-12
    assert float(density.electrons()) == pytest.approx(30, abs=1e-9)
    assert float(density.charge()) == pytest.approx(0, abs=1e-9)
    prior = toy_prior().density(waters(3))
    assert not torch.allclose(density.values(random_points(0)), prior.values(random_points(0)))


def test_many_at_once_are_the_same_as_one_by_one(predictor):
    structures = [waters(n, seed) for n, seed in ((1, 0), (4, 1), (2, 2))]
    together = list(predictor.predict_all(structures))
    for atoms, density in zip(structures, together, strict=True):
        alone = predictor.predict(atoms)
        # float64 network: sums over edges in another order
        torch.testing.assert_close(density.coefficients, alone.coefficients, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(density.centers, alone.centers)


def test_predictions_turn_with_the_structure(predictor):
    atoms = waters(2)
    turned = atoms.copy()
    turned.rotate(50, (1, 2, 3))
    points = random_points(1)
    rotated = Atoms("X" * len(points), positions=points.numpy())
    rotated.rotate(50, (1, 2, 3))
    values = predictor.predict(turned).values(torch.as_tensor(rotated.positions))
    torch.testing.assert_close(values, predictor.predict(atoms).values(points), rtol=1e-9, atol=1e-9)


def test_far_molecules_are_predicted_as_if_alone(predictor):
    atoms = waters(1)
    other = waters(1, seed=9)
    other.translate([50.0, 0, 0])
    both, own = predictor.predict(prepare(atoms + other)), predictor.predict(atoms)
    mask = torch.tensor([True] * 3 + [False] * 3)
    part = both.of_atoms(mask)
    points = random_points(2)
    torch.testing.assert_close(part.values(points), own.values(points), rtol=1e-12, atol=1e-12)


def test_dtype_is_that_of_the_density(folder):
    density = densitylab.load(folder, dtype=torch.float32).predict(waters(1))
    assert density.values(random_points(0).float()).dtype == torch.float32
    assert density.potential(random_points(0).float()).dtype == torch.float32
    assert density.dipole().dtype == torch.float32


def test_unfamiliar_chemistry_is_refused_unless_allowed(predictor):
    broken = waters(2)[[0, 1, 3, 4]]
    with pytest.raises(UnfamiliarError, match=re.escape("never trained on O(H) (atom 0 and 1 more)")):
        predictor.predict(broken)
    assert predictor.strange(broken) == ["O(H) (atom 0 and 1 more)"]
    assert float(predictor.predict(broken, strange=True).electrons()) == pytest.approx(18, abs=1e-9)


def test_unknown_elements_are_refused_in_any_case(predictor):
    for strange in (False, True):
        with pytest.raises((BasisError, UnfamiliarError), match="N"):
            predictor.predict(Atoms("NHHH", positions=np.eye(4, 3)), strange=strange)


def test_no_structure_no_density(predictor):
    with pytest.raises(StructureError, match="no atoms"):
        predictor.predict(Atoms())


def test_a_model_of_the_first_format_is_still_read(folder, tmp_path):
    """It does not say what it was trained on, so nothing is refused but elements."""
    description = json.loads((folder / "model.json").read_text())
    for key in ("familiar", "origin", "units"):
        del description[key]
    (tmp_path / "model.json").write_text(json.dumps(description | {"format": 1}))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    old = densitylab.load(tmp_path)
    assert float(old.predict(waters(2)[[0, 1, 3, 4]]).electrons()) == pytest.approx(18, abs=1e-9)
    same = compare(old.predict(waters(1)), densitylab.load(folder).predict(waters(1)))
    assert same.epsilon == 0


def test_a_run_directory_is_a_model_too(folder, tmp_path):
    (tmp_path / "model").symlink_to(folder)
    assert densitylab.load(tmp_path).elements == ["H", "O"]


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere is neither a folder with a model nor the name of one"):
        densitylab.load("nowhere")


def test_what_it_was_trained_on_is_in_the_file(folder):
    description = json.loads((folder / "model.json").read_text())
    assert description["familiar"] == {"environments": ["H(O)", "O(HH)"], "charges": [0]}
    assert description["origin"] == {"level": "none"}
    assert description["units"]["cutoff"] == "Å"


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": {"_target_": "densitylab.files.write_atomically", "path": "owned", "content": "x"}},
        {"kernel": [{"_target_": "densitylab.config.shipped", "folder": "x"}]},
        {"_target_": "densitylab.files.write_atomically", "path": "owned", "content": "x"},
        {"_target_": "densitylab.model.checkpoint.save_model"},
        {"_target_": "torch.nn.Linear"},
    ],
)
def test_a_strangers_model_calls_nothing_but_a_network(folder, tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    description = json.loads((folder / "model.json").read_text())
    description["options"] |= change
    (tmp_path / "model.json").write_text(json.dumps(description))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="name something else than a network"):
        densitylab.load(tmp_path)
    assert not (tmp_path / "owned").exists()
