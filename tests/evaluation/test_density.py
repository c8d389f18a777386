import csv
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from densitylab.density import Density, GaussianBasis
from densitylab.evaluation import density_errors, summarise
from densitylab.evaluation.density import Errors
from densitylab.evaluation.predictions import Prediction, write_errors, write_predictions

VALUES = ("epsilon_floor", "epsilon_network", "epsilon_total", "electrons", "dipole")


def test_a_perfect_prediction_has_the_floor_as_its_total(source):
    label = source.load(next(iter(source.infos())))
    errors = density_errors(label, torch.as_tensor(label.fit.coefficients), grid_level=1)
    assert errors.epsilon_network == 0.0
    assert errors.epsilon_total == errors.epsilon_floor > 0.1  # a JFIT basis does not hold a density exactly
    assert errors.electrons == pytest.approx(0.0, abs=1e-10)  # the fit conserves charge


def test_total_is_at_most_floor_plus_network_and_dipole_is_that_of_the_scf(source):
    label = source.load(next(iter(source.infos())))
    noise = 0.01 * torch.randn(len(label.fit.coefficients), generator=torch.Generator().manual_seed(0)).double()
    errors = density_errors(label, torch.as_tensor(label.fit.coefficients) + noise, grid_level=1)
    assert 0 < errors.epsilon_network < errors.epsilon_total <= errors.epsilon_floor + errors.epsilon_network
    moved = replace(label.calculation, dipole=label.calculation.dipole + np.array([1.0, 0, 0]))
    shifted = density_errors(replace(label, calculation=moved), torch.as_tensor(label.fit.coefficients), grid_level=0)
    # one e·bohr is 2.54 D; the fit's own error is some hundredths
    assert shifted.dipole == pytest.approx(2.54, abs=0.1)


def test_imports_without_orbitals_have_a_network_error_only(source):
    label = source.load(next(iter(source.infos())))
    noise = 0.01 * torch.randn(len(label.fit.coefficients), generator=torch.Generator().manual_seed(0)).double()
    coefficients = torch.as_tensor(label.fit.coefficients) + noise
    known = density_errors(label, coefficients, grid_level=0)
    nothing = replace(label.calculation, orbitals=np.empty((0, 0)), occupations=np.empty(0))
    errors = density_errors(replace(label, calculation=nothing), coefficients, grid_level=0)
    assert (errors.epsilon_floor, errors.epsilon_total) == (None, None)
    assert errors.epsilon_network == known.epsilon_network
    assert errors.electrons == known.electrons
    assert {m["name"] for m in summarise([errors], "test")} == {m["name"] for m in summarise([known], "test")} - {
        "epsilon_floor",
        "epsilon_total",
    }


def test_group_is_the_number_of_molecules(source):
    label = source.load(next(iter(source.infos())))
    assert density_errors(label, torch.as_tensor(label.fit.coefficients), grid_level=0).group == "1"


def test_summary_has_every_group_and_all():
    errors = [Errors(f"k{n}", group, 1.0 * n, 2.0 * n, 3.0 * n, -1.0 * n, 0.5) for n, group in enumerate("aab", 1)]
    metrics = {(m["group"], m["name"]): m for m in summarise(errors, "test")}
    assert set(metrics) == {(group, name) for group in ("a", "b", "all") for name in VALUES}
    assert metrics["a", "epsilon_network"]["value"] == 3.0
    assert metrics["all", "epsilon_floor"] == {
        "name": "epsilon_floor",
        "value": 2.0,
        "unit": "%",
        "split": "test",
        "group": "all",
    }
    assert metrics["all", "electrons"]["value"] == 2.0  # magnitudes: errors of both signs must not cancel


def noisy(source, scale=0.01):
    label = source.load(next(iter(source.infos())))
    fitted = torch.as_tensor(label.fit.coefficients)
    return label, fitted + scale * torch.randn(len(fitted), generator=torch.Generator().manual_seed(0)).double()


def test_partial_errors_belong_to_their_l(source):
    """A change of d-functions only is an error of l = 2 only, and all of the network error."""
    label, _ = noisy(source)
    changed = torch.as_tensor(label.fit.coefficients).clone()
    shells = label.basis.shells(label.calculation.atoms)
    changed[shells.functions(2)[1].flatten()] += 0.1
    errors = density_errors(label, changed, grid_level=1)
    assert errors.epsilon_l[2] == pytest.approx(errors.epsilon_network)
    assert [value for l, value in enumerate(errors.epsilon_l) if l != 2] == [0.0] * (len(errors.epsilon_l) - 1)


def test_uniform_grid_is_an_option_and_close(source):
    """The paper's grid integrates cusps badly, but the difference of two fits has hardly any."""
    label, changed = noisy(source)
    assert density_errors(label, changed, grid_level=1).epsilon_uniform is None
    errors = density_errors(label, changed, grid_level=3, uniform_spacing_angstrom=0.1)
    assert errors.epsilon_uniform == pytest.approx(errors.epsilon_network, rel=0.1)


def test_predictions_and_errors_are_kept(source, tmp_path):
    label, changed = noisy(source)
    errors = density_errors(label, changed, grid_level=0)
    write_predictions(tmp_path / "p.h5", [Prediction("test", label, changed, errors)])
    write_errors(tmp_path / "e.csv", [Prediction("test", label, changed, errors)])
    with h5py.File(tmp_path / "p.h5") as archive:
        group = archive[f"test/{errors.key}"]
        assert np.array_equal(group["predicted"], changed)
        assert np.array_equal(group["fitted"], label.fit.coefficients)
        assert np.array_equal(group["positions"], label.calculation.atoms.positions)
        assert group["positions"].attrs["unit"] == "Å"
        assert group.attrs["epsilon_network / %"] == errors.epsilon_network
        basis = GaussianBasis.from_description(json.loads(archive.attrs["basis"]))
    density = Density.from_basis(basis, label.calculation.atoms, changed)  # what is in the file is enough
    assert float(density.electrons()) == pytest.approx(float(changed @ density.shells.charges()))
    with (tmp_path / "e.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["epsilon_l1 / %"]) == errors.epsilon_l[1]
    assert (row["split"], row["key"]) == ("test", errors.key)
