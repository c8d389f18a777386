from dataclasses import replace

import numpy as np
import pytest
import torch

from densitylab.evaluation import density_errors, summarise
from densitylab.evaluation.density import UNITS, Errors


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


def test_group_is_the_number_of_molecules(source):
    label = source.load(next(iter(source.infos())))
    assert density_errors(label, torch.as_tensor(label.fit.coefficients), grid_level=0).group == "1"


def test_summary_has_every_group_and_all():
    errors = [Errors(f"k{n}", group, 1.0 * n, 2.0 * n, 3.0 * n, -1.0 * n, 0.5) for n, group in enumerate("aab", 1)]
    metrics = {(m["group"], m["name"]): m for m in summarise(errors, "test")}
    assert set(metrics) == {(group, name) for group in ("a", "b", "all") for name in UNITS}
    assert metrics["a", "epsilon_network"]["value"] == 3.0
    assert metrics["all", "epsilon_floor"] == {
        "name": "epsilon_floor",
        "value": 2.0,
        "unit": "%",
        "split": "test",
        "group": "all",
    }
    assert metrics["all", "electrons"]["value"] == 2.0  # magnitudes: errors of both signs must not cancel
