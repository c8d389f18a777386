from ase import Atoms

from densitylab.dataset.familiarity import Familiar
from densitylab.structures import prepare
from tests.model.suite import waters


def test_what_it_was_trained_on_is_not_strange():
    familiar = Familiar.of([waters(1)])
    assert familiar.strange(waters(5)) == []


def test_strange_chemistry_is_named_with_an_atom():
    familiar = Familiar.of([waters(2)])
    broken = waters(2)[[0, 1, 3, 4]]  # a hydrogen is missing from either molecule
    assert familiar.strange(prepare(broken)) == ["O(H) (atom 0 and 1 more)"]
    hydronium = prepare(
        Atoms("OHHH", positions=[[0, 0, 0], [0.97, 0, 0], [-0.3, 0.93, 0], [-0.3, -0.5, 0.8]]), charge=1
    )
    assert familiar.strange(hydronium) == ["O(HHH) (atom 0)", "charge +1"]


def test_description_is_plain_and_complete():
    familiar = Familiar.of([waters(1)])
    assert familiar.describe() == {"environments": ["H(O)", "O(HH)"], "charges": [0]}
    assert Familiar.from_description(familiar.describe()) == familiar
