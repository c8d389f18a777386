import pytest
from ase import Atoms

from densitylab.structures import StructureError, prepare
from densitylab.structures.together import together


def helium(group: str) -> Atoms:
    return prepare(Atoms("He"), group=group)


def test_one_after_the_other():
    parts = {"a": [helium("1"), helium("2"), helium("1")], "b": [helium("3")]}
    assert [atoms.info["group"] for atoms in together(parts)] == ["1", "2", "1", "3"]


def test_a_shared_group_is_refused():
    with pytest.raises(StructureError, match="first and second share the group 2"):
        together({"first": [helium("1"), helium("2")], "second": [helium("2")]})
