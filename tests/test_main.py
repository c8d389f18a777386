"""The command line: what it says, its exit codes, and what it does not load."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import densitylab
from densitylab import config
from densitylab.errors import plain_warnings
from tests.toybox.project import ROOT, Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.close()


def test_importing_the_package_and_asking_for_help_load_nothing_heavy() -> None:
    code = (
        "import sys, densitylab\n"
        "assert densitylab.__version__\n"
        "loaded = lambda: {'torch', 'pyscf', 'e3nn', 'numpy', 'pytorch_lightning'} & set(sys.modules)\n"
        "assert not loaded(), loaded()\n"
        "assert 'hydra' not in sys.modules\n"
        "import densitylab.__main__ as command\n"
        "sys.argv = ['densitylab', '--help']\n"
        "try: command.main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not loaded(), loaded()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    for file in (*(ROOT / "conf/task").glob("*.yaml"), *(ROOT / "conf/experiment").glob("*.yaml")):
        assert f"  {file.stem} " in done.stdout
        assert config.describe(file) in done.stdout


def test_version(project: Project) -> None:
    assert project.run("--version").stdout == f"densitylab {densitylab.__version__}\n"


def test_cfg_prints_and_runs_nothing(project: Project) -> None:
    done = project.run("debug=fast", "--cfg", "job", "--resolve", "model.lmax=7")
    assert done.returncode == 0, done.stderr
    assert "lmax: 7" in done.stdout
    assert "max_steps: 2" in done.stdout
    assert not (project.home / "outputs").exists()


def test_a_mistake_ends_with_2_and_no_traceback(project: Project) -> None:
    done = project.run("model.lmx=2", "modle=x")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: 2 problems in the configuration\n"
        "  model.lmx: unknown key, did you mean model.lmax?\n"
        "  modle: unknown key, did you mean model?\n"
    )
    assert not (project.home / "outputs").exists()


def test_an_unforeseen_error_is_one_sentence_and_a_traceback_on_request(project: Project) -> None:
    project.yaml("model/torn.yaml", "# Torn.\na: [\n")
    done = project.run("model=torn")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in project.run("model=torn", "debug=fast").stderr
    assert "Traceback" in project.run("model=torn", HYDRA_FULL_ERROR="1").stderr


def test_debug_shows_the_traceback_of_a_run(project: Project) -> None:
    project.yaml("debug/loud.yaml", "# @package _global_\n# Loud.\ndebug: true\n")
    assert 'raise ValueError("the cutoff' in project.run("+task.action=fail", "debug=loud").stderr


def test_plan_lists_and_runs_nothing(project: Project) -> None:
    assert project.run("+experiment=sweep", "hydra.sweeper.params={model.lmax: 1}").returncode == 0
    done = project.run("+experiment=sweep", "plan=true")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "3 runs in outputs/sweep",
        "  new          outputs/sweep/lmax_0  model.lmax=0",
        "               0 parameters",
        "  finished     outputs/sweep/lmax_1  model.lmax=1",
        "  new          outputs/sweep/lmax_2  model.lmax=2",
        "               2,000 parameters",
    ]
    assert not project.processes("sweep/lmax_0")


def test_no_point_starts_while_one_of_them_cannot_be_built(project: Project) -> None:
    """The task is asked for all points first: what no signature can refuse costs seconds, not the points before it."""
    done = project.run("-m", "model.lmax=1,-2,9,-3", "name=x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: 3 problems in the configuration\n"
        "  lmax=-2 is negative  [in model.lmax=-2]\n"
        "  no labels yet  [in model.lmax=9]\n"
        "  lmax=-3 is negative  [in model.lmax=-3]\n"
    )
    assert not list(project.home.rglob("results.json"))
    planned = project.run("-m", "model.lmax=9", "name=x", "plan=true")  # a plan shows it, and is no failure
    assert planned.returncode == 0
    assert "cannot start: no labels yet" in planned.stdout


def test_another_main_configuration_is_refused(project: Project) -> None:
    done = project.run("--config-name", "other")
    assert (done.returncode, done.stdout) == (2, "")
    assert "DENSITYLAB_CONF" in done.stderr


def test_the_process_of_a_run_explains_itself(project: Project) -> None:
    command = [sys.executable, "-m", "densitylab.runs"]
    done = subprocess.run(command, capture_output=True, text=True, env=project.environment)
    assert done.returncode == 2
    assert "usage: python -m densitylab.runs DIR" in done.stderr


def test_warnings_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    plain_warnings()
    assert warnings.formatwarning(UserWarning("no cell"), UserWarning, "file.py", 3) == "warning: no cell\n"
