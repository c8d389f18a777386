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
    batches = list(StepBatches([3] * 6, batch_size=4, seed=1, steps=6, first=int))
    dealt = [index for batch in batches for index in batch]
    assert [sorted(dealt[start : start + 6]) for start in range(0, 24, 6)] == [list(range(6))] * 4
    assert dealt[:6] != dealt[6:12]


def test_batches_of_a_resumed_run_are_those_of_an_uninterrupted_one():
    whole = list(StepBatches([3] * 7, batch_size=3, seed=5, steps=10, first=int))
    resumed = StepBatches([3] * 7, batch_size=3, seed=5, steps=10, first=lambda: 4)
    assert list(resumed) == whole[4:]
    assert len(resumed) == 10


def test_sets_smaller_than_a_batch():
    assert all(sorted(batch) == [0, 1] for batch in StepBatches([3] * 2, batch_size=4, seed=0, steps=3, first=int))


def test_atoms_of_a_batch_are_bounded():
    atoms = [3, 6, 9, 12, 18, 3, 24]
    batches = list(StepBatches(atoms, batch_size=4, seed=2, steps=40, first=int, max_atoms=24))
    totals = [sum(atoms[index] for index in batch) for batch in batches]
    assert max(totals) == 24  # the largest structure fills a batch of its own
    assert {len(batch) for batch in batches} > {1, 2}
    dealt = [index for batch in batches for index in batch]
    for start in range(0, len(dealt) - len(atoms), len(atoms)):  # pass after pass, everything once
        assert sorted(dealt[start : start + len(atoms)]) == list(range(len(atoms)))
    resumed = StepBatches(atoms, batch_size=4, seed=2, steps=40, first=lambda: 17, max_atoms=24)
    assert list(resumed) == batches[17:]


def test_processes_share_a_bounded_batch():
    atoms = [3, 6, 9, 12, 18, 3, 24]
    whole = list(StepBatches(atoms, 4, seed=2, steps=20, first=int, max_atoms=48))
    shares = [list(StepBatches(atoms, 4, seed=2, steps=20, first=int, max_atoms=48, rank=r, ranks=2)) for r in (0, 1)]
    assert all(share for own in shares for share in own)  # nobody waits for a process without work
    for batch, one, two in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(one + two)
    with pytest.raises(ValueError, match="a batch of 40 atoms cannot always be shared by 2 processes"):
        StepBatches(atoms, 4, seed=2, steps=20, first=int, max_atoms=40, ranks=2)
