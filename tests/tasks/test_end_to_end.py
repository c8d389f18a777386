"""The command line on real data, as a user types it; tiny budgets."""

import csv
import json
import os
import subprocess
import sys

import h5py
import pytest

from densitylab.config import conf_dir
from densitylab.labels.store import Store

# Shipped clusters of which few are used: measuring the whole test set takes most of a minute.
GROUPS = (
    'dataset.test_groups=["water-300K-100"]',
    'dataset.validation_groups=["water-300K-101"]',
    "task.splits=[test]",
)
TINY = ("trainer.max_steps=20", "logger=csv", *GROUPS)
ONE = ("model.lmax=1", "dataset.train_size=4")
EXPERIMENTS = sorted(file.stem for file in (conf_dir() / "experiment").glob("*.yaml"))


def densitylab(*overrides, folder):
    command = [sys.executable, "-m", "densitylab", *overrides, f"paths.outputs={folder}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, "COLUMNS": "200"})


def metrics(results):
    return {(m["split"], m["group"], m["name"]): m["value"] for m in results["metrics"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network after a few steps on the shipped labels, through an experiment that is a sweep of one point."""
    folder = tmp_path_factory.mktemp("trained")
    result = densitylab("+experiment=lmax_sweep", *TINY, *ONE, folder=folder)
    assert result.returncode == 0, result.stderr
    return folder / "lmax_sweep", result.stdout


def test_experiment_ends_in_three_numbers_a_table_and_a_figure(trained):
    folder, printed = trained
    results = json.loads((folder / "lmax_1-train_4-seed_0" / "results.json").read_text())
    assert results["status"] == "finished"
    found = metrics(results)
    floor, network, total = (found["test", "6", f"epsilon_{name}"] for name in ("floor", "network", "total"))
    assert floor < 0.30  # the bar for the default representation
    assert network < 11.6  # even 20 steps beat the prior alone (DESIGN.md §3: superposed atoms are 11.6 % off)
    assert total <= floor + network
    assert found["test", "6", "electrons"] < 1e-10
    assert "network ε / %" in printed
    assert (folder / "learning_curve.png").exists()


def test_every_structure_is_kept_with_its_errors(trained):
    folder, _ = trained
    run = folder / "lmax_1-train_4-seed_0"
    with (run / "errors.csv").open() as file:
        (row,) = csv.DictReader(file)
    found = metrics(json.loads((run / "results.json").read_text()))
    assert float(row["epsilon_total / %"]) == pytest.approx(found["test", "6", "epsilon_total"])
    assert float(row["epsilon_l4 / %"]) < float(row["epsilon_l0 / %"])
    with h5py.File(run / "predictions.h5") as archive:
        assert archive[f"test/{row['key']}/predicted"].shape == (6 * 149,)
    assert (run / "errors.png").exists()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_can_be_planned(experiment, tmp_path):
    result = densitylab(f"+experiment={experiment}", "plan=true", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    points = {"lmax_sweep": 9, "lmax_sweep_converged": 27, "lmax_sweep_paper": 60}[experiment]
    assert f"{points} runs" in result.stdout
    assert result.stdout.count(" parameters\n") == points
    if experiment == "lmax_sweep_paper":  # its labels take a computing cluster, and it says so
        assert result.stdout.count("cannot start: labels_water10 has nothing at PBE0/aug-cc-pVTZ") == points
        assert "rackers2023-lmax_5-train_10000-seed_0" in result.stdout
    else:
        assert result.stdout.count("train 120, validation 4, test 12 structures") == points / 3
    assert not list(tmp_path.iterdir())


def test_seeds_until_they_converge(tmp_path):
    """lmax_sweep_converged with a tiny budget: two seeds become one line of the table."""
    budget = ("trainer.max_steps=12", "trainer.val_check_interval=3", "objective.patience=1", "logger=csv")
    result = densitylab("+experiment=lmax_sweep_converged", *ONE, *budget, *GROUPS, "seed=0,1", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "lmax_sweep_converged" / "learning_curve.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["seeds"] == "2"
    assert float(row["± network / %"]) > 0
    assert (tmp_path / "lmax_sweep_converged" / "lmax_1-train_4-seed_1" / "checkpoints" / "best.ckpt").exists()


def test_finished_points_are_not_run_again(trained):
    folder, _ = trained
    before = (folder / "lmax_1-train_4-seed_0" / "results.json").stat().st_mtime_ns
    result = densitylab("+experiment=lmax_sweep", *TINY, *ONE, folder=folder.parent)
    assert result.returncode == 0
    assert (folder / "lmax_1-train_4-seed_0" / "results.json").stat().st_mtime_ns == before
    assert "network ε / %" in result.stdout  # the table is printed all the same


def test_a_trained_model_measures_the_same_again(trained, tmp_path):
    folder, _ = trained
    run = folder / "lmax_1-train_4-seed_0"
    other = [
        "prior=none",
        "basis=avtz_ri",
        "model.cutoff=6",
        "dataset.train_groups=[]",
        *GROUPS[:2],
    ]  # none of it matters
    result = densitylab("task=evaluate", f"task.model={run / 'model'}", *other, "name=again", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    before = metrics(json.loads((run / "results.json").read_text()))
    after = metrics(json.loads((tmp_path / "again" / "results.json").read_text()))
    for key in after:
        assert after[key] == pytest.approx(before[key], rel=1e-9, abs=1e-12), key


def test_a_split_that_cannot_be_made_is_one_sentence(tmp_path):
    result = densitylab("dataset.train_size=1000", "name=much", "logger=csv", folder=tmp_path)
    assert result.returncode == 2
    assert "train_size=1000, but only 122 training structures are available" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "much").exists()


class TestLabel:
    LEVEL = ("labels.level.functional=HF", "labels.level.basis=sto-3g", "labels.level.density_fit=false")

    def label(self, folder, xyz, *more):
        file = folder / "molecules.xyz"
        file.write_text(xyz)
        store = folder / "store"
        options = [f"task.store={store}", "basis=def2_universal_jfit", "structures=files", f"structures.paths={file}"]
        return densitylab("task=label", "name=labels", *options, *self.LEVEL, *more, folder=folder), Store(store)

    def test_labels_are_made_once(self, tmp_path):
        xyz = "2\nh2\nH 0 0 0\nH 0 0 0.74\n"
        result, store = self.label(tmp_path, xyz)
        assert result.returncode == 0, result.stderr
        (key,) = store.keys("calculation")
        made = (tmp_path / "store" / "calculation" / f"{key}.safetensors").stat().st_mtime_ns
        (fit,) = store.keys("fit")
        assert abs(store.meta("fit", fit)["residuals"]["electrons"]) < 1e-8
        again, _ = self.label(tmp_path, xyz, "name=again")
        assert again.returncode == 0
        assert (tmp_path / "store" / "calculation" / f"{key}.safetensors").stat().st_mtime_ns == made

    def test_a_failure_is_recorded_and_does_not_stop_the_others(self, tmp_path):
        """STO-3G has no functions for radon: that structure fails, the one after it is labelled."""
        result, store = self.label(tmp_path, "1\nradon\nRn 0 0 0\n2\nh2\nH 0 0 0\nH 0 0 0.74\n", "basis=even_tempered")
        assert result.returncode == 1
        assert "1 of 2 structures have no label" in result.stderr
        assert "Traceback" not in result.stderr
        assert len(store.keys("calculation")) == 1
        (failure,) = store.failures().values()
        assert failure["formula"] == "Rn"
        assert "Rn" in failure["error"] or "basis" in failure["error"].lower()

    def test_a_broken_file_is_one_sentence(self, tmp_path):
        result, _ = self.label(tmp_path, "3\nwater\nO 0 0 0\nH nan 0 0\nH 0 1 0\n")
        assert result.returncode == 2
        assert "molecules.xyz, frame 0: atom 1 (H) has a coordinate that is not a finite number" in result.stderr
        assert "Traceback" not in result.stderr
