"""The page is looked at in a browser by hand; what can be read of it is tested here."""

import json
import re

import pytest
from ase import Atoms

from densitylab.report.page import MOST_ATOMS, entry, write_page
from densitylab.structures import prepare
from tests.labels.calculations import structure, toy_prior
from tests.model.suite import waters


def data_of(page: str) -> list[dict]:
    """What the script of the page starts from."""
    return json.loads(re.search(r"^const data = (.*);$", page, re.MULTILINE).group(1))


@pytest.fixture
def page(tmp_path):
    water = prepare(structure("water"), group="<!--<script></script><b>")
    density = toy_prior().density(water)
    entries = [entry(0, water, density, 0.9 * density, 0.002), entry(1, water, density, density, 0.002, "O(H)")]
    rows = [[0, "</script><b>", 1.23456], [1, "x", 2.0], [2, "not shown", 3.0]]
    write_page(tmp_path / "p.html", "A & B", entries, ["number", "name", "value / e"], rows, 0.002)
    return (tmp_path / "p.html").read_text()


def test_nothing_is_loaded_from_elsewhere(page):
    assert "3Dmol" in page
    assert not re.search(r"""<(script|link|img|iframe)[^>]*(src|href)=""", page)
    assert page.count("</script>") == 2  # a name does not end one
    assert "$" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # every place is filled


def test_surfaces_are_in_it(page):
    first, second = data_of(page)
    surface = first["surface"]
    assert len(surface["v"]) == 3 * len(surface["p"])
    assert max(surface["f"]) == len(surface["p"]) - 1
    assert max(map(abs, surface["v"])) < 4  # Å from the middle of a water molecule
    assert first["more"]
    assert not first["less"]
    assert second["more"] is None  # no difference at all
    assert (first["strange"], second["strange"]) == ("", "O(H)")


def test_numbers_are_in_the_table(page):
    assert "<td>1.235</td>" in page
    assert "<td>&lt;/script&gt;&lt;b&gt;</td>" in page
    assert "A &amp; B" in page
    assert "More structures (1) are in the table only" in page


def test_large_structures_come_without_surfaces():
    large = waters(MOST_ATOMS // 3 + 1)
    assert isinstance(large, Atoms)
    density = toy_prior().density(large)
    assert set(entry(0, large, density, density, 0.002)) == {"number", "name", "xyz", "strange"}
