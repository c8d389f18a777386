"""One owner at a time, on one machine and as far as that is possible between several; who dies owns nothing."""

import fcntl
import multiprocessing
import os
import signal
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from densitylab.labels.claims import claim, claim_in_turn

FORK = multiprocessing.get_context("fork")  # a new interpreter would import for seconds


def own(file: Path, command: str, have: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with claim(file, command):
        os.write(have[1], b"x")
        time.sleep(600)


def owner(file: Path, command: str = "c") -> ForkProcess:
    """A process that has the claim."""
    have = list(os.pipe())
    process = FORK.Process(target=own, args=(file, command, have))
    process.start()
    assert os.read(have[0], 1) == b"x"
    for end in have:
        os.close(end)
    return process


def count(folder: Path) -> None:
    for _ in range(10):
        with claim_in_turn(folder / "claim"):
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def lose(file: Path, command: str = "c") -> None:
    process = owner(file, command)
    process.kill()
    process.join()


def test_one_at_a_time(tmp_path):
    file = tmp_path / "claims" / "a"
    with claim(file) as first:
        assert first == 0
        with claim(file) as second, claim(tmp_path / "claims" / "b") as other:
            assert (second, other) == (None, 0)
        assert file.exists()  # who did not get it left it alone
    assert not list(tmp_path.iterdir())
    with claim(file) as again:
        assert again == 0


def test_an_error_gives_the_claim_back(tmp_path):
    with pytest.raises(KeyboardInterrupt), claim(tmp_path / "claims" / "a"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_the_claim_of_a_killed_process_is_free_and_counted(tmp_path):
    file = tmp_path / "a"
    process = owner(file)
    with claim(file, "c") as lost:
        assert lost is None
    process.kill()
    process.join()
    lose(file)
    lose(file, "another command")
    with claim(file, "c") as lost:
        assert lost == 2
    with claim(file, "c") as lost:  # it was given back: nothing is left to hold against it
        assert lost == 0


def test_an_interrupted_process_is_not_lost(tmp_path):
    file = tmp_path / "a"
    process = owner(file)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert not file.exists()


def test_an_owner_on_another_machine_has_it_until_it_has_been_still_for_long(tmp_path):
    """Where locks do not reach beyond one machine, the lock is free although the owner lives."""
    file = tmp_path / "a"
    file.write_text("elsewhere 17 c\n")
    with claim(file, "c") as lost:
        assert lost is None
    os.utime(file, (time.time() - 3600, time.time() - 3600))
    with claim(file, "c") as lost:
        assert lost == 1


def test_a_claim_that_is_given_back_between_opening_and_locking_is_not_taken(tmp_path, monkeypatch):
    file, lock = tmp_path / "a", fcntl.flock

    def late(handle: object, flags: int) -> None:
        file.unlink()
        lock(handle, flags)  # of a file that nobody else can find any more

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", late)
        with claim(file) as lost:
            assert lost is None
    with claim(file) as lost:
        assert lost == 0


def test_three_processes_in_turn(tmp_path):
    (tmp_path / "number").write_text("0")
    processes = [FORK.Process(target=count, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "number").read_text() == "30"


def test_waiting_ends_with_the_owner(tmp_path):
    process = owner(tmp_path / "a")
    process.kill()
    with claim_in_turn(tmp_path / "a"):
        pass
    process.join()
