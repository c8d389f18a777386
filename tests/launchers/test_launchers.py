"""Launchers on real runs of the toy project: at the same time, restarted when lost, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from densitylab.launchers import JoblibLauncher
from tests.toybox.project import Project

TWO = ("-m", "name=x", "+task.action=hang", "model.lmax=0,1", "report={_target_: toys.table}")
RUNS = [f"x/task.action_hang-model.lmax_{lmax}" for lmax in (0, 1)]
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.workers=2"),
    "ray": ("hydra/launcher=ray", "hydra.launcher.workers=2"),
    "submitit": ("hydra/launcher=submitit", "hydra.launcher.cluster=local"),
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.close()


@pytest.fixture(params=["joblib", "submitit", pytest.param("ray", marks=pytest.mark.slow)])
def launcher(request: pytest.FixtureRequest) -> tuple[str, ...]:
    pytest.importorskip(request.param)
    return LAUNCHERS[request.param]


def release(project: Project) -> None:
    (project.home / "outputs/x/release").touch()


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[1])


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_two_at_a_time_then_one_report(project: Project, launcher: tuple[str, ...]) -> None:
    process = project.start(*TWO, *launcher)
    for run in RUNS:
        project.wait_for(run)  # both are at work: neither ends by itself
    release(project)
    code, out, err = ended(process)
    assert code == 0, err
    assert out.count("running: ") == out.count("finished: ") == 2
    assert out.count("report: model.lmax ['finished', 'finished']") == 1
    assert "finished before" in project.run(*TWO).stdout  # the launcher is no part of what a run is


def test_a_run_whose_process_is_killed_starts_again(project: Project, launcher: tuple[str, ...]) -> None:
    process = project.start(*TWO, *launcher)
    numbers = [project.wait_for(run) for run in RUNS]
    os.kill(numbers[0], signal.SIGKILL)
    time.sleep(0.5)
    release(project)
    code, out, err = ended(process)
    assert code == 0, err
    assert "killed by SIGKILL (out of memory?), is started again" in out
    assert [len(project.processes(run)) for run in RUNS] == [2, 1]


def test_ctrl_c_stops_all_and_the_same_command_goes_on(project: Project, launcher: tuple[str, ...]) -> None:
    process = project.start(*TWO, *launcher)
    for run in RUNS:
        project.wait_for(run)
    process.send_signal(signal.SIGTERM)  # to the command alone, as from a scheduler
    code, out, err = ended(process)
    assert code == 130
    assert [project.results(run)["status"] for run in RUNS] == ["interrupted"] * 2
    assert "go on with: python -m densitylab -m name=x" in err
    assert "Traceback" not in err or "submitit/local" in err  # its stand-in for SLURM says what it was stopped by
    assert "report:" not in out
    release(project)
    assert project.run(*TWO).returncode == 0


def test_a_single_worker_goes_one_by_one_and_heeds_ctrl_c(project: Project) -> None:
    """Not taken for the loss of the run, which would start it again."""
    process = project.start(*TWO, "hydra/launcher=joblib", "hydra.launcher.workers=1")
    first = project.wait_for(RUNS[0])
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    code, out, _ = ended(process)
    assert code == 130
    assert "started again" not in out
    assert [project.processes(run) for run in RUNS] == [[first], []]
    assert project.results(RUNS[0])["status"] == "interrupted"


@pytest.mark.slow
def test_a_lost_ray_worker_takes_its_run_with_it_and_another_does_both(project: Project) -> None:
    pytest.importorskip("ray")
    process = project.start(*TWO, *LAUNCHERS["ray"])
    numbers = [project.wait_for(run) for run in RUNS]
    os.kill(parent(numbers[0]), signal.SIGKILL)
    while len(project.processes(RUNS[0])) < 2:  # in a new process, while the other run still works
        assert process.poll() is None
        time.sleep(0.05)
    assert not Path(f"/proc/{numbers[0]}").exists()
    release(project)
    code, _, err = ended(process)
    assert code == 0, err
    assert [len(project.processes(run)) for run in RUNS] == [2, 1]


def test_a_job_that_slurm_preempts_is_queued_again(project: Project) -> None:
    """The signal that SLURM sends some time before a job's time is up, to submitit's own stand-in for SLURM."""
    pytest.importorskip("submitit")
    process = project.start(*TWO, *LAUNCHERS["submitit"])
    numbers = [project.wait_for(run) for run in RUNS]
    os.kill(parent(numbers[0]), signal.SIGUSR2)
    while len(project.processes(RUNS[0])) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    release(project)
    code, out, err = ended(process)
    assert code == 0, err
    assert "lost" not in out


def test_what_fails_by_itself_is_not_started_again_and_what_is_always_lost_is_given_up(project: Project) -> None:
    options = ("+task.action=fail,die", *LAUNCHERS["joblib"], "hydra.launcher.retries=1")
    code, out, err = ended(project.start("-m", "name=x", *options))
    assert code == 1
    assert [len(project.processes(f"x/task.action_{action}")) for action in ("fail", "die")] == [1, 2]
    assert "failed: outputs/x/task.action_fail\n" in out
    assert "2 of 2 runs failed:\n  outputs/x/task.action_fail: the cutoff is too small\n" in err
    assert "outputs/x/task.action_die: killed by SIGKILL (out of memory?)" in err
    assert "error: the cutoff is too small" in (project.home / "outputs/x/task.action_fail/output.log").read_text()


def test_a_single_run_has_the_directory_that_it_always_has(project: Project) -> None:
    done = project.run("name=x", *LAUNCHERS["joblib"])
    assert done.returncode == 0, done.stderr
    assert project.results("x")["status"] == "finished"
    assert "epsilon" in done.stdout  # its own output is in a file, so its result is shown
    assert "finished before" in project.run("name=x").stdout


def test_the_command_that_is_killed_takes_its_runs_with_it(project: Project) -> None:
    process = project.start(*TWO, *LAUNCHERS["joblib"])
    numbers = [project.wait_for(run) for run in RUNS]
    process.kill()
    process.communicate()
    for _ in range(500):
        if not any(Path(f"/proc/{number}").exists() for number in numbers):
            break
        time.sleep(0.02)
    release(project)
    assert project.run(*TWO, *LAUNCHERS["joblib"]).returncode == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("hydra/launcher=joblib", "hydra.launcher.workers=0"), "hydra.launcher.workers: at least 1, not 0"),
        (("hydra/launcher=joblib", "hydra.launcher.workers=many"), "hydra.launcher.workers: expected int, got 'many'"),
        (("hydra/launcher=joblib", "hydra.launcher.wrokers=2"), "did you mean hydra.launcher.workers?"),
        (("hydra/launcher=jolib",), "did you mean hydra/launcher=joblib?"),
        (("hydra/launcher=submitit",), "there is no SLURM here (no sbatch); hydra.launcher.cluster=local tries it out"),
    ],
)
def test_bad_options_are_sentences(project: Project, words: tuple[str, ...], problem: str) -> None:
    done = project.run("name=x", *words, PATH="/nowhere")
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.home / "outputs").exists()


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from omegaconf import OmegaConf

    from densitylab.launchers import HOME, check

    monkeypatch.setattr(JoblibLauncher, "package", "nowhere_to_be_found")
    (problem,) = check(OmegaConf.create({"_target_": f"{HOME}.Joblib", "workers": 2}))
    assert "pip install 'densitylab[nowhere_to_be_found]'" in problem
