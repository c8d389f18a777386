"""``kill -9``, fifty times, while labelling and training: nothing finished is lost, nothing wrong is used.

Both are killed at the same time, while a third run is left alone: about eight minutes on two idle cores.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

from densitylab.config import shipped
from densitylab.labels import Store

pytestmark = pytest.mark.slow

KILLS, AT_THE_END = 25, 5  # of each; those of training between its last step and its result
PATIENCE_S = 600  # for a start and a new file, on a machine that has other work
KINDS = ("calculation", "fit", "prior")
WATER = Atoms("OHH", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
HYDROGEN = Atoms("HH", positions=[[0, 0, 0], [0, 0, 0.74]])
CHEAP = ("labels.level.functional=HF", "labels.level.basis=sto-3g", "labels.level.density_fit=false")
LABEL = ("task=label", "structures=files", "basis=def2_universal_jfit", "logger=none", *CHEAP)
GROUPS = (("train", "[0-5]"), ("validation", "[67]"), ("test", "100"))
TINY = ("model.dtype=float64", "model.lmax=1", "model.channels=4", "model.layers=1")
SHORT = ("dataset.train_size=4", "dataset.batch_size=1", "+trainer.limit_val_batches=0", "task.splits=[]", "logger=csv")
TRAIN = (*TINY, *SHORT, *(f'dataset.{split}_groups=["water-300K-{names}"]' for split, names in GROUPS))
STEPS = 12000  # 20 kills, each after one more checkpoint (250 steps) or two; the rest is for the kills at the end


class Command:
    """``densitylab`` in a session of its own, none of whose processes outlives the block."""

    def __init__(self, folder: Path, name: str, *overrides: str, **environment: str) -> None:
        command = [sys.executable, "-m", "densitylab", f"name={name}", f"paths.outputs={folder}", *overrides]
        settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}  # the same sums in every attempt
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=settings, start_new_session=True
            )

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.returncode is None:  # not waited for: the number is still that of our own group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stdout.read()  # all of them hold the pipe: at its end they are dead
        self.process.__exit__(None, None, None)

    def await_change(self, watched: Callable[[], Any], before: Any, delay_s: float) -> None:
        """Return when what is watched is no longer as before, and a little later; the end of the block kills."""
        deadline = time.monotonic() + PATIENCE_S
        while watched() == before:
            self.alive()
            assert time.monotonic() < deadline, f"nothing new after {PATIENCE_S} s: {self.message()}"
            time.sleep(0.002)
        time.sleep(delay_s)
        self.alive()

    def alive(self) -> None:
        assert self.process.poll() is None, f"ended before it was killed: {self.message()}"

    def finish(self) -> None:
        self.process.stdout.read()
        assert self.process.wait() == 0, self.message()

    def message(self) -> str:
        return self.log.read_text()[-2000:]


def status(run: Path) -> str | None:
    """What ``results.json`` says, if it is there; half of one is an error."""
    file = run / "results.json"
    return json.loads(file.read_text())["status"] if file.exists() else None


def modified(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


def molecules(number: int) -> list[Atoms]:
    """Hydrogen and water in turns, each with a noise of its own that does not depend on how many there are."""
    frames = [(WATER if index % 2 else HYDROGEN).copy() for index in range(number)]
    for index, atoms in enumerate(frames):
        atoms.positions += np.random.default_rng(index).normal(scale=0.02, size=atoms.positions.shape)
    return frames


def contents(store: Path) -> dict[str, bytes]:
    return {str(file.relative_to(store)): file.read_bytes() for file in store.glob("*/*.safetensors")}


def label(folder: Path) -> tuple[Store, Store]:
    """The store of the command that was killed again and again, and that of one that was not."""
    chance, store, run, xyz = random.Random(0), folder / "store", folder / "killed", folder / "molecules.xyz"
    options = (*LABEL, f"structures.paths={xyz}")
    for _ in range(KILLS):
        before = contents(store)
        ase.io.write(xyz, molecules(len(before) // 2 + 40))  # more than are done within the delay
        with Command(folder, "killed", *options, f"task.store={store}") as command:
            command.await_change(lambda: len(list(store.glob("*/*.safetensors"))), len(before), chance.uniform(0, 0.5))
        after = contents(store)
        assert before.items() < after.items(), "a record is gone or has changed"
        fresh = Store(store)
        assert all(fresh.get(kind, key).arrays for kind in KINDS for key in fresh.keys(kind))  # else StoreError
        assert fresh.failures() == {}
        assert status(run) is None
    for name, its_store in {"killed": store, "undisturbed": folder / "undisturbed_store"}.items():
        with Command(folder, name, *options, f"task.store={its_store}") as command:
            command.finish()
        assert status(folder / name) == "finished"
    assert after.items() <= contents(store).items()
    return Store(store), Store(folder / "undisturbed_store")


def training(folder: Path) -> tuple[str, ...]:
    """Options of a tiny training on a copy of the shipped labels, whatever is added to them meanwhile."""
    shutil.copytree(shipped("data") / "water" / "shards", folder / "labels" / "shards")
    return (*TRAIN, f"labels.store={folder / 'labels'}")


def train(folder: Path) -> tuple[set[bytes], bytes]:
    """All weights that the command that was killed has ever left, and those of one that was not killed."""
    chance, run, weights, step = random.Random(1), folder / "killed", set(), 0
    last, model, results = run / "checkpoints/last.ckpt", run / "model/model.safetensors", run / "results.json"
    split = run / "split.json"
    options = (*training(folder), f"trainer.max_steps={STEPS}")
    with Command(folder, "undisturbed", *options) as undisturbed:
        for left in reversed(range(KILLS)):
            # A complete model is not written again: from then on, kill while it is measured, which takes 0.1 s.
            file = last if left >= AT_THE_END else split if model.exists() and left else model if left else results
            before, delay_s = modified(file), chance.uniform(0, 0.2 if file is last else 0.05) if left else 0
            with Command(folder, "killed", *options) as command:
                command.await_change(lambda file=file: modified(file), before, delay_s)
            assert [file.name for file in last.parent.iterdir()] == [last.name]
            reached = torch.load(last, weights_only=True)["global_step"]
            assert reached > step if file is last else reached == STEPS, f"from step {step} to {reached}"
            assert status(run) == (None if left else "finished")
            weights |= {model.read_bytes()} if file is not last else set()
            step = reached
        with Command(folder, "killed", *options) as command:
            command.finish()
        undisturbed.finish()
    assert status(run) == "finished"
    return weights | {model.read_bytes()}, (folder / "undisturbed/model/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Iterator[dict[str, Future]]:
    with ThreadPoolExecutor() as pool:
        yield {work.__name__: pool.submit(work, tmp_path_factory.mktemp(work.__name__)) for work in (label, train)}


def test_killed_labelling_ends_with_the_labels_of_an_undisturbed_one(killed):
    store, undisturbed = killed["label"].result()
    for kind in KINDS:
        assert store.keys(kind) == undisturbed.keys(kind) != []
    assert store.failures() == undisturbed.failures() == {}
    # Same program, same input, one thread: equal to rounding, which 1e-9 (hartree; coefficients are of order 1 to 10)
    # leaves room for. A calculation that stopped early or belongs to another molecule is off by 1e-6 or more.
    for kind, name in {"calculation": "energy", "fit": "coefficients"}.items():
        for key in store.keys(kind):
            mine, other = (each.get(kind, key).arrays[name] for each in (store, undisturbed))
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-9, err_msg=f"{name} of {key}")


def test_killed_training_ends_with_the_weights_of_an_undisturbed_one(killed):
    weights, undisturbed = killed["train"].result()
    assert weights == {undisturbed}  # bit by bit


def test_a_checkpoint_is_replaced_whole_also_if_temporary_files_lie_elsewhere(tmp_path):
    """A second name of a checkpoint keeps its content, unless the file is written over, and a kill leaves half of it.

    Scratch disks are like that: /tmp of the node, outputs on the file system of the cluster.
    """
    if not (memory := Path("/dev/shm")).is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    last, kept = tmp_path / "run/checkpoints/last.ckpt", tmp_path / "kept.ckpt"
    options = (*training(tmp_path), "trainer.max_steps=100000")
    with tempfile.TemporaryDirectory(dir=memory) as place, Command(tmp_path, "run", *options, TMPDIR=place) as command:
        command.await_change(lambda: modified(last), 0, 0.2)
        os.link(last, kept)
        before = kept.read_bytes()
        command.await_change(lambda: modified(last), modified(kept), 0.2)
    assert kept.read_bytes() == before
