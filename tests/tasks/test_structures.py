import csv
import json

import pytest
from ase import Atoms

from densitylab.structures import prepare
from densitylab.structures.files import from_files
from densitylab.tasks.structures import choose, table
from tests.tasks.test_end_to_end import densitylab


def test_command(tmp_path):
    words = ("structures=molecule", "structures.smiles='[NH4+]'", "name=it")
    result = densitylab("task=structures", *words, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "H4N" in result.stdout
    (atoms,) = from_files(str(tmp_path / "it" / "structures.extxyz"))
    assert atoms.info == {"charge": 1, "multiplicity": 1, "group": "H4N-0"}
    assert (tmp_path / "it" / "structures.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "it" / "structures.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["formula"], row["atoms"], row["charge / e"], row["electrons"]) == ("H4N (+1)", "5", "1", "10")
    results = json.loads((tmp_path / "it" / "results.json").read_text())
    assert {m["name"]: m["value"] for m in results["metrics"]} == {"structures": 1, "atoms": 5}


def test_plan_and_mistake(tmp_path):
    words = ("task=structures", "structures=molecule", "structures.name=ethanole", "name=it")
    result = densitylab(*words, "plan=true", folder=tmp_path)
    assert "structures by molecule" in result.stdout
    result = densitylab(*words, folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: no molecule is called ethanole, did you mean ethanol?\n")


def helium(number: int) -> list[Atoms]:
    return [prepare(Atoms("He"), group=f"g{i % 3}") for i in range(number)]


@pytest.mark.parametrize(
    ("made", "number", "expected"),
    [(1, 12, [0]), (5, 12, [0, 1, 2, 3, 4]), (12, 12, list(range(12))), (101, 3, [0, 50, 100]), (9, 1, [0])],
)
def test_choice_is_spread_evenly(made, number, expected):
    assert choose(helium(made), number) == expected


def test_table_of_few_and_many():
    assert [row[-1] for row in table(helium(4))[1]] == ["g0", "g1", "g2", "g0"]
    cation = prepare(Atoms("He"), charge=1, group="ion")
    header, rows = table([*helium(50), cation])
    assert header[0] == "structures"
    assert rows == [[50, "He", 1, 0, 1, 2, "3 groups"], [1, "He (+1)", 1, 1, 2, 1, "1 groups"]]
