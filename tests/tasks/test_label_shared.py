"""``task=label`` shared by the workers of a launcher, one of them killed in the middle: one command, all labels."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import ase.io
import pytest

from densitylab.labels import Store
from tests.conftest import bent_water
from tests.launchers.test_launchers import LAUNCHERS, parent

LEVEL = ("labels.level.functional=HF", "labels.level.basis=sto-3g", "labels.level.density_fit=false")
LABEL = ("task=label", "structures=files", "structures.paths=w.xyz", "task.store=store", "basis=def2_universal_jfit")
NUMBER = 16


def densitylab(folder, *words) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "densitylab", *LABEL, *LEVEL, "labels.fit.grid_level=0", "name=x", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.fixture
def folder(tmp_path):
    ase.io.write(tmp_path / "w.xyz", [bent_water(0.01 * index, f"g{index}") for index in range(NUMBER)])
    return tmp_path


def owner(folder, process) -> tuple[str, int]:
    """A structure in work, after some that are done, and the process that has it."""
    while True:
        assert process.poll() is None, process.communicate()
        if len(list(folder.glob("store/fit/*"))) > 2:
            for file in folder.glob("store/claims/*"):
                try:
                    return file.name, int(file.read_text().split()[1])
                except (FileNotFoundError, IndexError):
                    continue
        time.sleep(0.005)


@pytest.mark.parametrize("name", ["joblib", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_killed_worker_loses_nothing(folder, name):
    """joblib: the process that labels; Ray: the worker of a real local cluster, which its process does not outlive."""
    pytest.importorskip(name)
    process = densitylab(folder, *LAUNCHERS[name])
    key, number = owner(folder, process)
    os.kill(number if name == "joblib" else parent(number), signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    store = Store(folder / "store")
    assert len(store.keys("calculation")) == len(store.keys("fit")) == NUMBER
    assert store.has("calculation", key)
    assert store.failures() == {}
    assert "epsilon_floor" in out
    results = [json.loads(file.read_text()) for file in sorted(folder.glob("outputs/x/worker_*/results.json"))]
    assert [result["status"] for result in results] == ["finished"] * 2
    assert results[0]["metrics"] == results[1]["metrics"]  # each is about all structures, whoever labelled them


def test_the_plan_shows_the_workers_and_failures_are_told_once(folder):
    planned = densitylab(folder, *LAUNCHERS["joblib"], "plan=true").communicate()[0]
    assert "2 runs in outputs/x" in planned
    assert Counter(planned.split())[f"{NUMBER}"] == 4  # structures, calculations missing; for each
    triplets = ("structures.multiplicity=3", "labels.level.functional=unheard_of")
    process = densitylab(folder, *LAUNCHERS["joblib"], *triplets)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.count(f"{NUMBER} of {NUMBER} structures have no label") == 1
    assert "outputs/x/worker_0 and 1 more" in err
    assert len(Store(folder / "store").failures()) == NUMBER
