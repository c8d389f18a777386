"""What a run directory promises: whole files, a process per point, resume, an outcome whatever happens."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ReadonlyConfigError

from densitylab import record, runs
from densitylab.files import write_atomically
from densitylab.lock import exclusive
from tests.toybox.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.close()


def test_one_process_per_point_from_one_resolved_file(project: Project) -> None:
    done = project.run("+experiment=sweep", "seed=3")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pids = [project.processes(f"sweep/lmax_{lmax}") for lmax in range(3)]
    assert len({pid for (pid,) in pids}) == 3
    for lmax in range(3):
        run = runs.Run(project.home / "outputs" / "sweep" / f"lmax_{lmax}")
        assert run.config().model.lmax == lmax
        assert "hydra" not in run.config()
        assert "${" not in (run.path / "config.yaml").read_text()
        results = run.results()
        assert results is not None
        assert results["status"] == "finished"
        assert results["error"] is None
        assert not (run.path / ".hydra").exists()
        facts = json.loads((run.path / "metadata.json").read_text())
        assert set(facts) == {"config_hash", "densitylab", "git_commit", "python", "packages"}
        assert str(project.home) not in json.dumps(facts)
    # Each point starts from the same seed, not from where the point before it stopped.
    fractions = [project.results(f"sweep/lmax_{lmax}")["metrics"][0]["value"] - lmax for lmax in range(3)]
    assert fractions[1] == pytest.approx(fractions[0])
    assert "report: model.lmax ['finished', 'finished', 'finished']" in done.stdout


def test_what_is_finished_is_skipped_and_only_that(project: Project) -> None:
    assert project.run("+experiment=sweep").returncode == 0
    (project.home / "outputs/sweep/lmax_1/results.json").unlink()  # as after a power cut
    again = project.run("+experiment=sweep")
    assert again.returncode == 0
    assert [len(project.processes(f"sweep/lmax_{lmax}")) for lmax in range(3)] == [1, 2, 1]
    assert again.stdout.count("finished before") == 2
    assert again.stdout.count("report:") == 1


def test_a_failed_point_is_recorded_and_the_others_run(project: Project) -> None:
    done = project.run("-m", "name=x", "+task.action=fail,die,ok", "report={_target_: toys.table}")
    assert done.returncode == 1
    assert project.results("x/task.action_ok")["status"] == "finished"
    failed, died = project.results("x/task.action_fail"), project.results("x/task.action_die")
    assert (failed["status"], failed["error"]) == ("failed", "the cutoff is too small")
    assert (died["status"], died["error"]) == ("failed", "killed by SIGKILL (out of memory?)")
    assert "error: the cutoff is too small\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert 'raise ValueError("the cutoff' in (project.home / "outputs/x/task.action_fail/error.log").read_text()
    assert "report: model.lmax ['failed', 'failed', 'finished']" in done.stdout
    assert "2 of 3 runs failed:\n  outputs/x/task.action_fail: the cutoff is too small\n" in done.stderr


def test_a_run_killed_from_outside_is_failed_and_can_be_repeated(project: Project) -> None:
    process = project.start("name=x", "+task.action=hang")
    os.kill(project.wait_for("x"), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert project.results("x")["status"] == "failed"
    assert "killed by SIGKILL (out of memory?)" in err
    (project.home / "outputs/release").touch()
    assert project.run("name=x", "+task.action=hang").returncode == 0
    assert project.results("x")["status"] == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_sweep_and_the_same_command_goes_on(project: Project, number: int) -> None:
    words = ("-m", "name=x", "+task.action=hang", "model.lmax=0,1", "report={_target_: toys.table}")
    process = project.start(*words)
    project.wait_for("x/task.action_hang-model.lmax_0")
    process.send_signal(number)  # to the parent alone, as from a scheduler
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert project.results("x/task.action_hang-model.lmax_0")["status"] == "interrupted"
    assert not (project.home / "outputs/x/task.action_hang-model.lmax_1").exists()
    assert "go on with: python -m densitylab -m name=x" in err
    assert "Traceback" not in err
    assert "report:" not in out
    assert "interrupted" in project.run(*words, "plan=true").stdout
    (project.home / "outputs/x/release").touch()
    assert project.run(*words).returncode == 0


def test_ctrl_c_at_a_terminal_reaches_both_processes_and_is_recorded_once(project: Project) -> None:
    process = project.start("+task.action=hang")
    for _ in range(500):
        found = list(project.home.glob("outputs/*/processes"))
        if found:
            break
        time.sleep(0.02)
    name = found[0].parent.name
    os.kill(project.wait_for(name), signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert project.results(name)["status"] == "interrupted"
    # The name has the time in it, so the same command alone would start anew.
    assert f"go on with: python -m densitylab +task.action=hang name={name}" in err


def test_a_used_directory_refuses_another_configuration(project: Project) -> None:
    assert project.run("name=x").returncode == 0
    before = (project.home / "outputs/x/config.yaml").read_text()
    refused = project.run("name=x", "model.lmax=1")
    assert refused.returncode == 2
    assert "-  lmax: 2\n+  lmax: 1\n" in refused.stderr
    assert "another name (name=…), or remove the directory" in refused.stderr
    assert (project.home / "outputs/x/config.yaml").read_text() == before
    assert "changed" in project.run("name=x", "model.lmax=1", "plan=true").stdout
    elsewhere = project.run("name=x", "paths.data=elsewhere")  # where, not what
    assert "finished before" in elsewhere.stdout


def test_an_unwritable_place_is_one_sentence(project: Project) -> None:
    (project.home / "file").touch()
    done = project.run("paths.outputs=file")
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to file/work_")
    assert done.stderr.count("\n") == 1


def test_metrics_of_another_form_are_refused(project: Project) -> None:
    project.run("name=x", "task._target_=toys.broken")
    assert "a task returns metrics with the keys" in project.results("x")["error"]


def test_a_report_that_fails_leaves_the_runs_alone(project: Project) -> None:
    done = project.run("name=x", "report={_target_: toys.bad_table}")
    assert done.returncode == 1
    assert "error: no ink" in done.stderr
    assert project.results("x")["status"] == "finished"


class TestExecute:
    """The process of one run, called in this process."""

    def prepared(self, home: Path, monkeypatch: pytest.MonkeyPatch, outcome: object) -> runs.Run:
        run = runs.Run(home / "run")
        paths = {"outputs": "outputs", "data": "data"}
        config = OmegaConf.create({"seed": 0, "debug": False, "paths": paths, "task": {"_target_": "x"}})
        run.prepare(record.freeze(config))

        def call(config: object, run: runs.Run) -> object:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(runs, "_call", call)
        return run

    def test_other_ranks_write_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for rank in ("LOCAL_RANK", "NODE_RANK", "RANK"):
            run = self.prepared(tmp_path, monkeypatch, ValueError("x"))
            with monkeypatch.context() as patch:
                patch.setenv(rank, "1")
                assert runs.execute(run) == 1
            assert sorted(file.name for file in run.path.iterdir()) == ["config.yaml", "metadata.json"]

    def test_lightning_turns_ctrl_c_into_an_exit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise SystemExit(1) from None
        except SystemExit as exit_:
            run = self.prepared(tmp_path, monkeypatch, exit_)
        assert runs.execute(run) == runs.INTERRUPTED
        assert (run.results() or {})["status"] == "interrupted"

    def test_a_task_that_leaves_has_failed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = self.prepared(tmp_path, monkeypatch, SystemExit(0))
        assert runs.execute(run) == 1
        assert (run.results() or {})["status"] == "failed"

    def test_numbers_of_other_libraries_are_stored(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        numpy = pytest.importorskip("numpy")
        metric = {"name": "e", "value": numpy.float32(0.5), "unit": "%", "split": "test", "group": None}
        run = self.prepared(tmp_path, monkeypatch, [metric])
        assert runs.execute(run) == 0
        assert (run.results() or {})["metrics"][0]["value"] == 0.5

    def test_a_configuration_cannot_be_changed_nor_misread(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = self.prepared(tmp_path, monkeypatch, []).config()
        with pytest.raises(ReadonlyConfigError):
            config.seed = 1
        with pytest.raises(ConfigAttributeError):
            _ = config.sede


def test_one_process_at_a_time(project: Project) -> None:
    """A second command on a run that is being executed is refused and leaves its files alone."""
    done = project.run("name=x")
    assert done.returncode == 0
    directory = project.home / "outputs" / "x"
    (directory / "results.json").unlink()
    before = sorted(directory.iterdir())
    with exclusive(directory):
        again = project.run("name=x")
        assert again.returncode == 2
        assert "another process is working in" in again.stderr
        assert "running" in project.run("name=x", "plan=true").stdout
    assert sorted(directory.iterdir()) == before
    assert project.run("name=x").returncode == 0


def test_a_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "results.json"
    write_atomically(file, "one")

    def power_cut(descriptor: int) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(OSError, match="power cut"):
        write_atomically(file, "two")
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert file.read_text() == "one"
