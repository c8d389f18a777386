import itertools

import pytest

from densitylab.dataset.batches import StepBatches
from densitylab.dataset.split import DatasetError, split_by_group

INFOS = {f"{group}{index}": {"group": group} for group in ("cold-1", "cold-2", "hot-1") for index in range(4)}


def split(train=("cold-*",), validation=(), test=("hot-*",), size=None, seed=0):
    return split_by_group(INFOS, list(test), list(validation), list(train), size, seed)


def test_groups_stay_together():
    keys = split(train=["cold-1"], validation=["cold-2"])
    assert {key[:-1] for key in keys["train"]} == {"cold-1"}
    assert {key[:-1] for key in keys["validation"]} == {"cold-2"}
    assert {key[:-1] for key in keys["test"]} == {"hot-1"}
    assert sum(map(len, keys.values())) == 12


def test_smaller_training_sets_are_subsets_of_larger_ones():
    sizes = [set(split(size=size)["train"]) for size in (1, 3, 5, 8)]
    assert all(small < large for small, large in itertools.pairwise(sizes))
    assert split(size=5) == split(size=5)
    assert split(size=5, seed=1)["train"] != split(size=5)["train"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": ["cold-1"]}, "group cold-1 is claimed by train and test"),
        ({"test": ["tepid"]}, "no group matches test_groups=tepid; there are cold-1, cold-2, hot-1"),
        ({"train": [], "size": 1}, "train_size=1, but only 0 training structures"),
        ({"size": 9}, "train_size=9, but only 8 training structures"),
        ({"size": 0}, "no training structures: 8 available, train_size=0"),
    ],
)
def test_impossible_splits_are_refused(options, message):
    with pytest.raises(DatasetError, match=message):
        split(**options)


def test_batches_deal_every_structure_once_per_pass():
    batches = list(StepBatches(size=6, batch_size=4, seed=1, steps=6, first=int))
    dealt = [index for batch in batches for index in batch]
    assert [sorted(dealt[start : start + 6]) for start in range(0, 24, 6)] == [list(range(6))] * 4
    assert dealt[:6] != dealt[6:12]


def test_batches_of_a_resumed_run_are_those_of_an_uninterrupted_one():
    whole = list(StepBatches(size=7, batch_size=3, seed=5, steps=10, first=int))
    resumed = StepBatches(size=7, batch_size=3, seed=5, steps=10, first=lambda: 4)
    assert list(resumed) == whole[4:]
    assert len(resumed) == 10


def test_sets_smaller_than_a_batch():
    assert all(sorted(batch) == [0, 1] for batch in StepBatches(size=2, batch_size=4, seed=0, steps=3, first=int))
