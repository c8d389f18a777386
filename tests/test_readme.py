"""The README's commands: every one of them composes, and every make target it names exists."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest

from tests.model.saved import save_random_model
from tests.model.suite import waters

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
LINES = [line.strip() for block in BLOCKS for line in block.splitlines()]
MAKE = [line for line in LINES if line.startswith("make ")]


def planned(line: str) -> str:
    """The arguments of a densitylab command, made to run nothing."""
    arguments = line.partition(" #")[0].partition("densitylab ")[2]
    return arguments if re.search(r"--help|plan=true", arguments) else f"{arguments} plan=true"


ARGUMENTS = sorted({planned(line) for line in LINES if re.match(r"(python -m )?densitylab ", line)})


def test_readme_shows_both_kinds_of_commands():
    assert len(ARGUMENTS) >= 4
    assert {"make run", "make test"} <= set(MAKE)


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_command_composes(arguments, tmp_path):
    if "mol.xyz" in arguments:  # what the reader has by then
        ase.io.write(tmp_path / "mol.xyz", waters(1))
        save_random_model(tmp_path / "outputs/my_run/model")
    done = subprocess.run(
        [sys.executable, "-m", "densitylab", *shlex.split(arguments)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert not list(tmp_path.rglob("results.json")), "a plan runs nothing"


@pytest.mark.parametrize("command", MAKE)
def test_make_target_exists(command):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
