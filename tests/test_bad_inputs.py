"""Bad inputs through the real command line: one clear sentence, an exit code that is not 0, and nothing lost."""

import json
import os
import re
import resource
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from safetensors.numpy import save_file

from densitylab.labels.store import Store
from densitylab.structures import prepare
from tests.tasks.command import start

H2, WATER = "2\n{}\nH 0 0 0\nH 0 0 0.74\n", "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
HF = ("labels.level.functional=HF", "labels.level.basis=sto-3g", "labels.level.density_fit=false")
CHEAP = (*HF, "basis=def2_universal_jfit", "name=it")
DNA = ("task=label", *CHEAP, "task.store=store")
LABEL = (*DNA, "structures=files", "structures.paths=my.xyz")
QUICK = ("model.lmax=0", "model.channels=4", "trainer.max_steps=2", "+trainer.limit_val_batches=0", "task.splits=[]")
GROUPS = ("dataset.train_groups=[a]", "dataset.validation_groups=[]", "dataset.test_groups=[]", "labels.store=store")
TRAIN = (*QUICK, *CHEAP, *GROUPS, "logger=csv")
EVALUATE = ("task=evaluate", "task.model=model", "task.split=train", *CHEAP, *GROUPS)
RECORD = {"config.yaml", "metadata.json", "results.json", "error.log", ".lock"}  # of a run that starts again
GPU = torch.cuda.is_available() or torch.backends.mps.is_available()


def files():
    return {file: file.read_bytes() for file in Path().rglob("*") if file.is_file()}


def refused(capfd, sentence, *words, code=2):
    """``code`` 2: nothing has started, so nothing has changed; 1: only the run that failed may have left files."""
    before, _ = files(), capfd.readouterr()
    assert start(*words) == code
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert len(re.findall("^error:", err.replace("\r", "\n"), re.MULTILINE)) == 1, err
    text = err[err.index("error:") :].replace(f"{Path.cwd()}/", "").split("runs failed")[0]
    assert re.search(sentence, text), text
    assert max(map(len, text.splitlines())) < 500, f"not one clear sentence: {text}"
    after = files()
    assert not [file for file in before if file.name not in RECORD and after.get(file) != before[file]]
    assert all(code == 1 and file.parts[0] in ("outputs", "store") for file in after if file not in before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network after two steps on shipped labels: its command and its directory."""
    home = tmp_path_factory.mktemp("trained")
    words = (*QUICK, *GROUPS[1:3], "dataset.train_groups=[water-300K-0]", "dataset.train_size=2", "logger=csv")
    words = (*words, "name=it")
    assert start(*words, f"paths.outputs={home}") == 0
    return words, home / "it"


@pytest.fixture(scope="module")
def intact(source, trained, tmp_path_factory):
    """A folder with ``my.xyz``, a ``model`` and a ``store``: waters in groups a, b, c; helium; a shard."""
    folder = tmp_path_factory.mktemp("intact")
    shutil.copytree(source.store.path, folder / "store")
    helium = prepare(Atoms("He", positions=[[0, 0, 0]]), group="helium")
    replace(source, store=Store(folder / "store")).label(helium)
    (folder / "store/shards").mkdir()
    shutil.copy(min(folder.glob("store/prior/*")), folder / "store/shards/all.safetensors")
    shutil.copytree(trained[1] / "model", folder / "model")
    (folder / "my.xyz").write_text(WATER)
    return folder


@pytest.fixture
def home(intact, tmp_path, monkeypatch):
    """A copy of that folder, where the user is."""
    shutil.copytree(intact, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


class Code:
    """Whoever unpickles this makes the file ``executed`` in the current folder."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def spoil(pattern, change):
    """Remove the first file of that pattern, write a text into it, or do to it what a function does."""
    file = min(Path().glob(pattern))
    file.unlink() if change is None else change(file) if callable(change) else file.write_text(change)


def halve(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def edit(**changes):
    return lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def add(change):
    return lambda file: torch.save(torch.load(file, weights_only=True) | change, file)


def foreign(metadata=None):
    return lambda file: save_file({"x": np.zeros(3)}, file, metadata and {"densitylab": json.dumps(metadata)})


STRUCTURES = {  # my.xyz, and what is said of it
    None: "my.xyz: no such file",
    "": "my.xyz: .*(?i:empty|no structures)",
    WATER[: WATER.rindex("H")]: "my.xyz: .*2 atoms, expected 3",
    H2.replace("0.74", "nan"): r"my.xyz, frame 0: atom 1 \(H\) has a coordinate that is not a finite number",
    WATER + H2.replace("0.74", "0"): r"my.xyz, frame 1: atoms 0 \(H\) and 1 \(H\) are 0.000 Å apart",
    "1\n\nXx 0 0 0\n": "my.xyz.*((?i:unknown) element.*Xx|Xx.*element)",
    H2.format("charge=3"): r"my.xyz, frame 0: charge \+3 leaves -1 electrons",
    H2.format("charge=0.5"): "my.xyz, frame 0: charge must be a whole number, not 0.5",
    H2.format("multiplicity=2"): "my.xyz, frame 0: multiplicity 2 is impossible with 2 electrons",
    H2.format('Lattice="9 0 0 0 9 0 0 0 9"'): "my.xyz, frame 0: the structure is periodic",
}
DAMAGES = (  # of a file of the store, and what is said of it
    (halve, "not readable"),
    ("", "not readable"),
    (lambda file: torch.save(Code(), file), "not readable"),
    (foreign(), "not a densitylab record"),
    (foreign({"format": 3}), "not"),
    (foreign({"densitylab_schema": 99, "records": {}}), "schema 99, written by a newer densitylab"),
)
SPOILED = [  # command, file, what has become of it, what is said
    *((LABEL, "my.xyz", text, said) for text, said in STRUCTURES.items()),
    *((LABEL, "store/shards/*", damage, f"store/shards/all.*: .*{said}") for damage, said in DAMAGES),
    *((TRAIN, "store/calculation/*", damage, f"store/calculation/.*: .*{said}") for damage, said in DAMAGES),
    (EVALUATE, "model/model.json", edit(format=99), "model.json has format 99; this densitylab reads 1 and 2"),
    (EVALUATE, "model/model.json", edit(options={"_target_": "os.system", "command": "touch executed"}), "model.json"),
    (EVALUATE, "model/model.json", edit(options={"_target_": "densitylab.model.network.Old"}), "model.json.*Old"),
    (EVALUATE, "model/model.json", halve, "model.json: not readable"),
    (EVALUATE, "model/model.json", "[]", "model.json"),
    (EVALUATE, "model/model.json", '{"format": 1}', "model.json"),
    (EVALUATE, "model/model.json", None, "model holds no model"),
    (EVALUATE, "model/model.safetensors", halve, "model.safetensors"),
    (EVALUATE, "model/model.safetensors", lambda file: torch.save(Code(), file), "model.safetensors"),
    (EVALUATE, "model/model.safetensors", foreign(), "model.safetensors does not fit"),
]
MISTAKES = [  # command, what is wrong in it, what is said
    (LABEL, ("structures.charge=1", "structures.multiplicity=1"), "my.xyz, frame 0: multiplicity 1 is impossible"),
    (TRAIN, ("labels.store=my.xyz",), "my.xyz is not a folder"),
    (TRAIN, ("labels.store=nothing",), r"nothing at HF/sto-3g \(see task=label\); there are no labels at all"),
    (TRAIN, ("labels.level.functional=PBE",), r"store has nothing at PBE/sto-3g .*there are 7 at HF/sto-3g"),
    (TRAIN, ("dataset.train_groups=[helium]", "basis=default"), r"no functions for He \(it has H, C, N, O, P, S\)"),
    (EVALUATE, ("dataset.train_groups=[helium]",), r"no functions for He \(it has H, O\)"),
    (TRAIN, ("dataset.train_groups=[]",), "no training structures"),
    (TRAIN, ("dataset.train_size=0",), "no training structures: 3 available, train_size=0"),
    (TRAIN, ("dataset.train_size=9",), "train_size=9, but only 3 training structures are available"),
    (TRAIN, ("paths.outputs=my.xyz",), "cannot write to my.xyz/it"),
    pytest.param(TRAIN, ("trainer=gpu",), "trainer.*(?i:gpu)", marks=pytest.mark.skipif(GPU, reason="has a GPU")),
]


@pytest.mark.parametrize(("command", "file", "change", "sentence"), SPOILED)
def test_spoiled_file(home, capfd, command, file, change, sentence):
    spoil(file, change)
    refused(capfd, sentence, *command)


@pytest.mark.parametrize("command", [LABEL, TRAIN, EVALUATE])
def test_the_same_commands_could_start_without_the_mistake(home, capfd, command):
    assert start(*command, "plan=true") == 0
    assert "cannot start" not in capfd.readouterr().out


@pytest.mark.parametrize(("command", "more", "sentence"), MISTAKES)
def test_mistake_in_the_command(home, capfd, command, more, sentence):
    refused(capfd, sentence, *command, *more)


DNA_FILE = """\
ATOM      2  O5'  DA A   1       1.500   0.000   0.000  1.00  0.00           O
END
"""
DNA_MISTAKES = [  # the structures, exit code (2: seen before the run starts), what is said
    (("structures=dna", "structures.sequence=GAXTC"), 1, "letter 'X' at position 3 is not one of A, C, G, T"),
    (("structures=dna_file", "structures.path=my.pdb"), 2, "my.pdb: DA 1 of chain A lacks C5', C4', O4'"),
    (("structures=dna_file", "structures.path=my.xyz"), 2, "my.xyz: not readable as a structure"),
]


@pytest.mark.parametrize(("more", "code", "sentence"), DNA_MISTAKES)
def test_dna_that_cannot_be_made(home, capfd, more, code, sentence):
    Path("my.pdb").write_text(DNA_FILE)
    refused(capfd, sentence, *DNA, *more, code=code)


def test_molden_in_no_known_order(home, capfd):
    """d functions as −2 … +2: an order that no program has. Nothing is stored."""
    pytest.importorskip("iodata")
    from tests.labels.calculations import calculation
    from tests.labels.test_wavefunctions import FLEXIBLE, disordered, write_molden

    made = calculation("water", FLEXIBLE)
    write_molden(Path("my.molden"), made, disordered(made))
    words = ("task=import", "task.path=my.molden", "task.program=orca", "task.store=store", "labels.level.basis=own")
    refused(capfd, "my.molden: (not readable as molden|.*not orthonormal)", *CHEAP, *words, code=1)


@pytest.mark.parametrize("change", [halve, add({"code": Code()}), add({"state_dict": {}})])
def test_training_checkpoint(home, trained, capfd, change):
    """Truncated, with code in it, of another version; PyTorch's advice to switch the check off is not passed on."""
    shutil.copytree(trained[1], "outputs/it")
    Path("outputs/it/results.json").unlink()  # as if it had been killed before the end of training
    shutil.rmtree("outputs/it/model")
    spoil("outputs/it/checkpoints/last.ckpt", change)
    refused(capfd, r"^error: (?!.*weights_only).*it/checkpoints/last\.ckpt", *trained[0], code=1)


def test_failures_of_a_run(home, capfd):
    """Uranium is not in the density basis, radon not in the orbital basis; hydrogen between them is labelled."""
    Path("my.xyz").write_text("1\nmultiplicity=5\nU 0 0 0\n" + H2 + "1\n\nRn 0 0 0\n")
    said = "2 of 3 structures have no label, see store/failure: .*sto-3g for Rn.*def2-universal-JFIT for U"
    refused(capfd, said, *LABEL, code=1)
    assert [len(list(Path("store", kind).glob("*"))) for kind in ("calculation", "fit", "failure")] == [8, 8, 2]
    Path("outputs/w/wandb").parent.mkdir()
    Path("outputs/w/wandb").write_text("mine")
    refused(capfd, "W&B cannot write to .*outputs/w/wandb", *TRAIN, "name=w", "logger=offline", code=1)


@contextmanager
def disk(option):
    """A file system of its own at ``outputs``; yields what mounts it anew with another option."""
    Path("outputs").mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", "outputs", "-o"]
    if shutil.which("mount") is None or subprocess.run([*mount, option], capture_output=True).returncode:
        pytest.skip("cannot mount a small file system (not root, or not Linux)")
    try:
        yield lambda option: subprocess.run([*mount, f"remount,{option}"], check=True)
    finally:
        subprocess.run(["umount", "outputs"], check=True)


def test_disk_that_fills_up(home, capfd):
    """At the first checkpoint: no half of one is left, and with more room the same command works."""
    with disk("size=64k") as remount:
        refused(capfd, "No space left on device.*outputs/it", *TRAIN, code=1)
        for file in Path("outputs").rglob("*.ckpt"):
            torch.load(file, weights_only=True)
        remount("size=8m")
        assert start(*TRAIN) == 0


def test_disk_that_is_full(home, capfd):
    with disk("size=64k"):
        Path("outputs/mine").write_bytes(bytes(65536))
        refused(capfd, "No space left on device.*outputs/it", *TRAIN, code=1)


def test_no_room_for_a_shard(home, capfd):
    """A limit on the size of files, which the run inherits, stands in for a full disk: nothing is packed or lost."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        refused(capfd, "cannot write store/shards/new.safetensors: File too large", *LABEL, "task.pack=new", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_place_that_refuses_even_root(home, capfd, place):
    if not Path(place, "kernel").is_dir() and not Path(place, "self").is_dir():
        pytest.skip(f"no {place} here")
    refused(capfd, f"cannot write to {place}/none/it", *TRAIN, f"paths.outputs={place}/none")


def test_read_only_outputs(home, trained, capfd):
    with disk("size=8m") as remount:
        shutil.copytree(trained[1], "outputs/it")
        Path("outputs/it/results.json").unlink()
        remount("ro")
        refused(capfd, "(cannot write|Read-only).*outputs/it", *trained[0])


def test_read_only_store(home, capfd):
    with disk("size=8m") as remount:
        shutil.copytree("store", "outputs/store")
        Path("my.xyz").write_text(H2)
        remount("ro")
        words = ("task.store=outputs/store", "paths.outputs=store/runs")
        refused(capfd, "cannot write.*outputs/store.*Read-only file system", *LABEL, *words, code=1)
