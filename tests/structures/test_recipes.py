"""The recipes of conf/structures, without making them: molecular dynamics takes minutes."""

import functools
from collections import Counter

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from densitylab.config import conf_dir
from densitylab.keys import fingerprint

RECIPES = sorted(file.stem for file in (conf_dir() / "structures").glob("*.yaml"))
WATER = "densitylab.structures.water.liquid_clusters"
SHIPPED = ("water", "water_cool", "water_large", "water_quenched", "water_test", "water_test8", "water_warm")


@functools.cache
def recipe(name: str) -> dict:
    with initialize_config_dir(str(conf_dir() / "structures"), version_base="1.3"):
        return OmegaConf.to_container(compose(name))


def water_nodes(name: str) -> list[dict]:
    tree = recipe(name)
    nodes = tree["parts"].values() if "parts" in tree else [tree]
    return [node for node in nodes if node["_target_"] == WATER]


def groups(node: dict) -> list[str]:
    """Those that ``liquid_clusters`` would name."""
    kind = "quenched" if node.get("quench") else f"{node.get('temperature_K', 300.0):g}K"
    return [f"water-{kind}-{node['seed'] + t}" for t in range(node["trajectories"])]


def test_no_trajectory_of_water_is_in_two_recipes():
    owners: dict[int, str] = {}
    for name in RECIPES:
        for node in water_nodes(name):
            for seed in range(node["seed"], node["seed"] + node["trajectories"]):
                assert owners.setdefault(seed, name) == name, f"seed {seed} in {owners[seed]} and {name}"
    assert len(owners) > 11000


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("water_series", {2: 48, 4: 24, 8: 12, 12: 8, 16: 6}),
        ("water_series_test", {24: 1, 27: 1, 30: 1}),
        ("water_cc", {1: 15, 2: 15, 3: 15}),
        ("water_hf", {1: 15, 2: 15, 3: 15, 4: 15}),
    ],
)
def test_numbers_of_clusters(name, count):
    found = Counter()
    for node in water_nodes(name):
        for size in node["sizes"]:
            found[size] += node["trajectories"] * node.get("snapshots", 1)
    assert found == count


def test_the_size_series_has_groups_of_one_size_each():
    """So that a training set of one size is one pattern."""
    nodes = {tuple(node["sizes"]): groups(node) for node in water_nodes("water_series")}
    assert {size: {group[:-1] for group in names} for (size,), names in nodes.items()} == {
        size: {f"water-300K-{70 + i}"} for i, size in enumerate([2, 4, 8, 12, 16])
    }


@pytest.mark.parametrize("name", ["ethanol", "ethanethiol", "resorcinol"])
def test_molecules_have_at_least_a_hundred_structures_in_many_groups(name):
    tree = recipe(name)
    assert tree["name"] == name
    assert tree["number"] >= 100
    assert tree["number"] / tree["snapshots"] >= 10
    assert min(tree["temperatures_K"]) == 300
    assert max(tree["temperatures_K"]) == 500


@pytest.mark.parametrize("name", SHIPPED)
def test_recipes_of_shipped_structures_are_what_they_were(name):
    """Changed, the structures would be made anew, and would miss their labels."""
    tree = recipe(name)
    file = f"liquid_clusters-{fingerprint(tree)[:10]}.extxyz"
    assert (conf_dir().parent / "data" / "water" / "structures" / file).is_file()
