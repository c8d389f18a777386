"""The wheel: what `pip install .` leaves in another environment, used away from the checkout."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from densitylab.config import conf_dir

pytestmark = pytest.mark.slow  # under a minute, but pip may have to fetch the build backend

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = (
    *("+experiment=lmax_sweep", "model.lmax=0", "model.channels=4", "trainer.max_steps=2", "logger=csv"),
    *("dataset.train_size=2", 'dataset.train_groups=["water-300K-[0-5]"]', 'dataset.test_groups=["water-300K-100"]'),
    *('dataset.validation_groups=["water-300K-[67]"]', "+trainer.limit_val_batches=0", "task.splits=[test]"),
)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What the command prints; nothing of this process's own settings reaches it."""
    ours = ("PYTHON", "DENSITYLAB", "VIRTUAL_ENV", "HYDRA")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=inherited | environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, except what Python compiles for itself."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    offline = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", *offline, f"--wheel-dir={folder}", ROOT, cwd=folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A fresh environment with the wheel, and with the dependencies of this one behind it."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    assert ROOT not in home.parents
    venv.create(home, symlinks=os.name != "nt")
    pip = (sys.executable, "-m", "pip", f"--python={home}", "install", "--no-deps", "--no-index", wheel)
    run(*pip, cwd=home)
    # After the installation, or pip would take the densitylab of this environment for the one it is to install. A path
    # in a .pth is searched last, and .pth files that lie there, such as that of an editable install, are not obeyed.
    dependencies = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages(home) / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
    return home


def packages(home: Path) -> Path:
    (folder,) = home.glob("lib/python*/site-packages")
    return folder


def test_help_lists_tasks_and_experiments(installed, tmp_path):
    printed = run(installed / "bin" / "densitylab", "--help", cwd=tmp_path)
    for group in ("task", "experiment"):
        names = [file.stem for file in (conf_dir() / group).glob("*.yaml")]
        assert names
        for name in names:
            assert f"  {name} " in printed
    assert not list(tmp_path.iterdir())


def test_a_tiny_experiment_ends_in_a_table_and_a_figure(installed, tmp_path):
    work, elsewhere = tmp_path / "work", {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "temporary"}
    caches = {"MPLCONFIGDIR": str(tmp_path / "fonts")}  # Matplotlib's own list of fonts
    for folder in (work, *elsewhere.values()):
        folder.mkdir()
    package = packages(installed) / "densitylab"
    where = "import densitylab, densitylab.config as c; print(densitylab.__file__, c.conf_dir(), c.shipped('data'))"
    found = run(installed / "bin" / "python", "-c", where, cwd=work).split()
    assert [Path(path) for path in found] == [package / "__init__.py", package / "conf", package / "data"]

    before = contents(package)
    environment = caches | {name: str(folder) for name, folder in elsewhere.items()}
    printed = run(installed / "bin" / "densitylab", *EXPERIMENT, cwd=work, **environment)

    assert "network ε / %" in printed
    (point,) = work.glob("outputs/lmax_sweep/*/results.json")
    assert json.loads(point.read_text())["status"] == "finished"
    assert (work / "outputs" / "lmax_sweep" / "learning_curve.png").stat().st_size > 1000
    assert (point.parent / "model" / "model.safetensors").is_file()
    assert str(package / "data") in (point.parent / "config.yaml").read_text()  # not the checkout's labels
    assert str(ROOT) not in (point.parent / "config.yaml").read_text()
    assert contents(package) == before
    assert {name: contents(folder) for name, folder in elsewhere.items()} == {name: {} for name in elsewhere}
    assert [entry.name for entry in work.iterdir()] == ["outputs"]
