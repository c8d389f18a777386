"""``task=check``, ``task=import`` and ``task=export`` through the real command line."""

import csv
import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest

from densitylab.labels import LabelError, Store
from tests.labels import published
from tests.labels.calculations import single_thread
from tests.labels.test_importers import Code, fitted, nucleotide, published_sample
from tests.labels.test_wavefunctions import FLEXIBLE, calculated, write_molden
from tests.tasks.command import start

ROOT = Path(__file__).resolve().parents[2]
HF = ("labels.level.functional=HF", "labels.level.basis=sto-3g", "labels.level.density_fit=false")
IMPORT = ("task=import", *HF, "basis=rackers2023", "task.program=psi4", "task.store=store")
TRAIN = (
    *HF, "basis=rackers2023", "labels.level.program=psi4", "labels.store=store", "model.lmax=0", "model.channels=4",
    "trainer.max_steps=2", "+trainer.limit_val_batches=0", "dataset.validation_groups=[]",
    "dataset.train_groups=[w-train]", "dataset.test_groups=[w-test]", "evaluation.grid_level=0", "logger=csv",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder, where the user is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with single_thread():
        yield


def run(*words, name="it"):
    """The task in this process, on the configuration that the command line makes: its metrics by name."""
    from densitylab.build import build
    from densitylab.command import open_hydra, parse
    from densitylab.preflight import preflight

    args = parse([*words, f"name={name}"])
    with open_hydra(args) as hydra:
        (point,) = preflight(hydra, args.overrides, args.multirun).points
    point.run.prepare(point.frozen)
    return {metric["name"]: metric for metric in build(point.config.task, point.config, point.run)}


# ---------------------------------------------------------------------------------------------------------- check


def test_shipped_store(capfd):
    """Half a minute at most: the 138 records and more that ship with densitylab."""
    assert start("task=check", f"task.store={ROOT / 'data/water'}", "name=it") == 0
    out = capfd.readouterr().out
    for check in (
        "electrons",
        "net force",
        "net torque",
        "fitted dipole",
        "sign of forces",
        "near-duplicates",
        "levels",
    ):
        assert check in out
    assert "failed" not in out
    metrics = {m["name"]: m for m in json.loads(Path("outputs/it/results.json").read_text())["metrics"]}
    assert metrics["net force"]["value"] < 1e-4
    assert metrics["sign of forces"]["value"] > 0.9


def test_what_is_wrong_in_a_store(source, capsys):
    shutil.copytree(source.store.path, "mine")
    record = min(Path("mine/calculation").glob("*"))
    record.write_bytes(record.read_bytes()[:-8])
    with pytest.raises(LabelError, match="mine: 2 checks failed: readable records, fits have calculations"):
        run("task=check", "task.store=mine")
    assert "not readable" in " ".join(capsys.readouterr().out.replace("│", " ").split())
    with pytest.raises(LabelError, match="nothing has no labels to check"):
        run("task=check", "task.store=nothing")


# --------------------------------------------------------------------------------------------------------- import


def write_waters():
    """Pickles to train and test on: water, hydroxide and hydronium, from real calculations."""
    for name, members in {"w-train": ["water", "H3O+", "dimer"], "w-test": ["OH-"]}.items():
        published.write(Path(f"{name}.pkl"), [published_sample(fitted(member)) for member in members])


def test_published_pickles_from_import_to_network(capsys):
    write_waters()
    run(*IMPORT, "task.path=w-*.pkl")
    assert "4 of 4 records are new in store, at HF/sto-3g of psi4" in capsys.readouterr().out
    files = {file: file.stat().st_mtime_ns for file in Path("store").rglob("*.safetensors")}
    assert run(*IMPORT, "task.path='w-*.pkl'")["imported"]["value"] == 0
    assert files == {file: file.stat().st_mtime_ns for file in Path("store").rglob("*.safetensors")}
    assert run("task=check", "task.store=store")["sign of forces"]["value"] > 0.2
    metrics = run(*TRAIN, "task.splits=[train,test]", name="net")
    assert metrics["epsilon_network"]["value"] > 0
    assert not {"epsilon_floor", "epsilon_total"} & set(metrics)  # nobody knows the orbitals
    again = run("task=evaluate", "task.model=outputs/net/model", *TRAIN, name="measured")
    assert again["epsilon_network"]["value"] == pytest.approx(metrics["epsilon_network"]["value"], rel=1e-5)


def test_shifted_pickle():
    samples = [published.without_two_atoms(published_sample(nucleotide())), published_sample(fitted("water"))]
    published.write(Path("w-train.pkl"), samples)
    with pytest.raises(
        LabelError, match=r"w-train\.pkl, structure 0: the coordinates of its first 2 atoms are missing"
    ):
        run(*IMPORT, "task.path=w-train.pkl")
    assert not Store("store").keys("calculation")  # nothing of the file, not even what is sound
    run(*IMPORT, "task.path=w-train.pkl", "task.repair=mask")
    run(*TRAIN, "dataset.test_groups=[]", "task.splits=[train]", name="net")
    with Path("outputs/net/errors.csv").open() as lines:
        rows = {row["key"]: row for row in csv.DictReader(lines)}
    (masked,) = [k for k in rows if "untrusted_atoms" in Store("store").meta("calculation", k)["info"]]
    assert rows[masked]["electrons / e"] == ""  # of a part of a molecule, that number says nothing
    assert float(rows[masked]["epsilon_network / %"]) > 0


def test_harmful_pickle(capfd):
    """Through the command line: one sentence, an exit code, and nothing executed or left behind."""
    published.write(Path("w.pkl"), [published_sample(fitted("water")) | {"energy": Code()}])
    assert start(*IMPORT, "task.path=w.pkl", "name=it") == 1
    err = capfd.readouterr().err
    assert err.startswith("error: w.pkl: refused, because it wants to call")
    assert "Traceback" not in err
    assert sorted(file.name for file in Path().iterdir()) == ["outputs", "w.pkl"]


def test_wrong_basis_is_named():
    write_waters()
    words = [word for word in IMPORT if not word.startswith("basis=")]
    with pytest.raises(LabelError, match="not those of O in densitylab-HCNOPS; name the basis of the file"):
        run(*words, "task.path=w-train.pkl")


def test_a_structure_at_another_level_is_another_record(capsys):
    write_waters()
    run(*IMPORT, "task.path=w-test.pkl")
    run(*IMPORT, "task.path=w-test.pkl", "task.program=gaussian")
    assert len(Store("store").keys("calculation")) == 2
    run("task=check", "task.store=store")
    assert "1 structures at several" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_molden_to_fit():
    write_molden(Path("w.molden"), calculated("water", FLEXIBLE))
    hf = ("labels.level.functional=HF", "labels.level.density_fit=false", "labels.level.basis=cc-pVTZ")
    words = ("task=import", *hf, "task.program=orca", "prior=none", "task.store=store")
    run(*words, "task.path=w.molden")
    store = Store("store")
    (key,), (fit,) = store.keys("calculation"), store.keys("fit")
    assert store.meta("calculation", key)["level"]["program"] == "orca"
    assert store.meta("calculation", key)["level"]["basis"] == "cc-pVTZ"
    assert store.meta("fit", fit)["residuals"]["epsilon_floor_percent"] < 5
    other = ("labels.level.functional=HF", "labels.level.density_fit=false", "labels.level.basis=own")
    run(*words, *other, "task.path=w.molden", "task.store=texts")  # whatever the file's functions are called
    run("task=export", *other, "labels.level.program=orca", "task.store=texts", "task.path=w.extxyz")
    assert len(ase.io.read("w.extxyz")) == 3
    Path("w.molden").write_text("[Molden Format]\n")
    for file, said in {"w.molden": "not readable as molden", "none.molden": "no such file"}.items():
        with pytest.raises(LabelError, match=rf"{file}: {said}"):
            run(*words, f"task.path={file}")
    assert store.keys("calculation") == [key]


# --------------------------------------------------------------------------------------------------------- export


def test_export(source, capsys):
    words = ("task=export", f"task.store={source.store.path}", *HF)
    run(*words, "task.path=out/w.extxyz")
    assert "6 calculations in out/w.extxyz" in capsys.readouterr().out
    energies = [atoms.get_potential_energy() for atoms in ase.io.read("out/w.extxyz", index=":")]
    assert np.allclose(energies, -2038, atol=3)  # eV: water in a minimal basis
    run(*words, "task.path=w.h5")
    assert Path("w.h5").stat().st_size > 10_000
    with pytest.raises(LabelError, match=r"w\.csv: unknown format; name it \(extxyz, hdf5\)"):
        run(*words, "task.path=w.csv")
    with pytest.raises(LabelError, match=r"has nothing at HF/6-31g \(see task=label\); there are 6 at HF/sto-3g"):
        run(*words, "labels.level.basis=6-31g", "task.path=w.h5")
