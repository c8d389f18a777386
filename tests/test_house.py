"""The house rules that no other tool holds (CONTRIBUTING.md), read off syntax trees and texts."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from densitylab.keys import STORE

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "densitylab"
SKIPPED = {"__pycache__", "outputs", "build", "dist", "wandb"}

# Conversion factors and constants that belong in units.py, in every unit and direction that tempts.
FACTORS = {
    "bohr in Å": 0.529177,
    "Å in bohr": 1.889726,
    "hartree in eV": 27.211386,
    "eV in hartree": 0.0367493,
    "hartree in kcal/mol": 627.5095,
    "kcal/mol in hartree": 0.00159360,
    "hartree in kJ/mol": 2625.4996,
    "eV in kcal/mol": 23.06055,
    "kcal/mol in eV": 0.0433641,
    "eV in kJ/mol": 96.48533,
    "hartree/bohr in eV/Å": 51.422067,
    "hartree/bohr in kcal/mol/Å": 1185.8212,
    "e bohr in debye": 2.541746,
    "debye in e bohr": 0.393430,
    "e Å in debye": 4.803204,
    "debye in e Å": 0.208194,
    "e²/(4πε₀) in eV Å": 14.399645,
    "e²/(4πε₀) in kcal/mol Å": 332.06371,
    "hartree in 1/cm": 219474.63,
    "eV in 1/cm": 8065.544,
    "k_B in eV/K": 8.617333e-5,
    "k_B in hartree/K": 3.166812e-6,
    "k_B in kcal/mol/K": 1.987204e-3,
    "k_B in J/K": 1.380649e-23,
    "atomic time in fs": 0.02418884,
}
FOREIGN_UNITS = ("ase.units", "scipy.constants", "pyscf.data.nist")
# One file reads foreign pickles with its own find_class, so that nothing in them runs; one writes them for its tests.
ONLY_THERE = (
    ("src/densitylab/labels/importers/unpickle.py", "pickle.Unpickler"),
    ("tests/labels/published.py", "pickle.dumps"),
)
PICKLES = ("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib.load", "joblib.dump", "shelve")


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)


GIT = shutil.which("git") is not None and git("ls-files").returncode == 0


def repository_files() -> list[Path]:
    """Every file that is, or would be, committed; without git, everything but hidden and built files."""
    if GIT:
        listing = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.decode()
        files = [ROOT / name for name in listing.split("\0") if name]
    else:
        hidden = SKIPPED | {path.name for path in ROOT.glob(".*") if path.is_dir() and path.name != ".ci"}
        files = [path for path in ROOT.rglob("*") if not hidden & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in files if path.is_file())


FILES = repository_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
SOURCES = [path for path in PYTHON if path.is_relative_to(SRC)]
CONF = [path for path in FILES if path.is_relative_to(ROOT / "conf") and path.suffix in (".yaml", ".yml")]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports; ``from a import b`` counts as ``a.b``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def importing(files: list[Path], modules: tuple[str, ...]) -> list[str]:
    """Where any of ``modules``, or something inside one, is imported."""
    return [
        f"{name(path)}:{line} imports {imported}"
        for path in files
        for line, imported in imports(path)
        if any(imported == module or imported.startswith(f"{module}.") for module in modules)
    ]


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Every call with its function as it is written."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def keyword(call: ast.Call, key: str) -> object:
    """The constant that a call gives a keyword, ``None`` if there is none."""
    values = [k.value.value for k in call.keywords if k.arg == key and isinstance(k.value, ast.Constant)]
    return values[0] if values else None


def test_there_is_something_to_check():
    assert SOURCES


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_source_file_is_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = 60 if path == SRC / "__main__.py" else 200
    assert lines <= limit, f"{name(path)} has {lines} lines, at most {limit}: split it"


def test_no_assert_statement_in_the_source():
    found = [f"{name(p)}:{n.lineno}" for p in SOURCES for n in ast.walk(tree(p)) if isinstance(n, ast.Assert)]
    assert not found, "python -O removes assert; raise an exception that says what is wrong"


def test_only_build_instantiates():
    found = []
    for path in set(SOURCES) - {SRC / "build.py"}:
        for node in ast.walk(tree(path)):
            words = [getattr(node, key, None) for key in ("id", "attr", "name")]
            if "instantiate" in words:
                found.append(f"{name(path)}:{getattr(node, 'lineno', '?')}")
    assert not found


def test_lightning_has_one_name():
    assert not importing(PYTHON, ("lightning", "lightning_fabric"))


def test_no_pickles():
    allowed = [f"{file}:{imported}" for file, imported in ONLY_THERE]
    uses = [(found, re.sub(r":\d+ imports ", ":", found)) for found in importing(PYTHON, PICKLES)]
    found = [place for place, use in uses if use not in allowed]
    for path in PYTHON:
        for call, function in calls(path):
            torch_reads = function == "torch.load" or function.endswith(".load_from_checkpoint")
            if function in PICKLES:  # import joblib; joblib.load(…)
                found.append(f"{name(path)}:{call.lineno} {function}")
            if torch_reads and keyword(call, "weights_only") is not True:
                found.append(f"{name(path)}:{call.lineno} {function} without weights_only=True")
            if keyword(call, "allow_pickle"):
                found.append(f"{name(path)}:{call.lineno} {function} with allow_pickle=True")
    assert not found


def test_conversion_factors_stand_in_units_only():
    rooms = [path for path in SOURCES if path != SRC / "units.py"]
    found = importing(rooms, FOREIGN_UNITS)
    for path in rooms:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                for factor, value in FACTORS.items():
                    if abs(node.value - value) < 2e-4 * value:
                        found.append(f"{name(path)}:{node.lineno} {node.value} ({factor})")
    assert not found


@pytest.mark.parametrize("path", CONF, ids=name)
def test_configuration_says_what_it_is(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    package = [number for number, line in enumerate(lines) if re.match(r"\s*#\s*@package\b", line)]
    assert package in ([], [0]), "Hydra reads '# @package' on the very first line only"
    description = lines[len(package)] if len(lines) > len(package) else ""
    where = f"{name(path)}:{len(package) + 1}"
    assert re.match(r"# \S.{9,}", description), f"{where} must be a comment that says what this is"


def test_importing_densitylab_loads_nothing_heavy():
    heavy = "torch e3nn pyscf pytorch_lightning torch_geometric openmm matplotlib ase scipy hydra wandb"
    program = f"import sys, densitylab; print(*sorted(set({heavy.split()}) & set(sys.modules)))"
    path = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_no_machine_in_committed_text():
    """Neither a machine's own paths nor the hosts of a package registry: those are pip's configuration."""
    folders = "|".join(("work", "root", "home", "Users"))
    hosts = r"pypi\.org|pythonhosted\.org|pytorch\.org/whl|pyg\.org/whl|anaconda\.org"
    forbidden = re.compile(rf"(?<![\w./~$}}-])/(?:{folders})/\w|(?:{hosts})|\bindex-url\b")
    found = []
    for path in FILES:
        if path.suffix in (".safetensors", ".png", ".pdf"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {match.group()}" for match in forbidden.finditer(text)]
    assert not found


@pytest.mark.skipif(not GIT, reason="not a git checkout")
@pytest.mark.parametrize("kind", [*STORE, "failure"])
def test_git_ignores_loose_records_and_no_shards(kind):
    def ignored(file: str) -> bool:
        return git("check-ignore", "-q", file).returncode == 0

    assert ignored(f"data/any/{kind}/0.safetensors")
    assert not ignored("data/any/shards/0.safetensors")
    assert not ignored("data/any/structures/0.extxyz")


def test_shipped_data_stay_below_60_MB():
    assert sum(path.stat().st_size for path in FILES if name(path).startswith("data/")) < 60e6
    assert not [name(path) for path in FILES if not name(path).startswith("data/") and path.stat().st_size > 2e6]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import lightning", ("lightning",)),
        ("from ase.units import Bohr", FOREIGN_UNITS),
        ("import pickle", PICKLES),
    ],
)
def test_the_checks_themselves_find_what_they_look_for(tmp_path, monkeypatch, text, problem):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "file.py"
    file.write_text(text)
    assert importing([file], problem)
