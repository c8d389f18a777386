import pytest
import torch

from densitylab.dataset import DatasetError, DensityDataModule, Statistics
from densitylab.density import GaussianBasis, Prior


def module(source, **options):
    groups = {"train_groups": ["a"], "validation_groups": ["b"], "test_groups": ["c"]}
    return DensityDataModule(source, cutoff=4.0, **{**groups, **options})


def test_statistics_of_the_training_split_by_hand(source):
    data = module(source)
    found = data.statistics()
    rows = torch.stack([graph.coefficients[: source.basis.size("O")] for graph in data.graphs("train")])
    first_s, first_p = rows[:, 0], rows[:, 12:15]  # 12 s-shells, then p
    assert found.mean["O"][0] == pytest.approx(float(first_s.mean()))
    assert found.scale["O"][0] == pytest.approx(float(first_s.std(correction=0)))
    assert found.mean["O"][12:].abs().max() == 0  # l > 0 has no mean
    assert found.scale["O"][12:15].tolist() == pytest.approx([float(first_p.square().mean().sqrt())] * 3)
    assert found.neighbours == 2.0  # each atom of a water sees the two others


def test_statistics_do_not_see_the_other_splits(source):
    assert (
        module(source).statistics().mean["O"][0]
        != module(source, train_groups=["a", "b"], validation_groups=[]).statistics().mean["O"][0]
    )


def test_spread_is_the_error_of_predicting_the_mean(source):
    data = module(source)
    found = data.statistics()
    total = 0.0
    for graph in data.graphs("train"):
        mean = torch.cat([found.mean[symbol] for symbol in ("O", "H", "H")])
        error = graph.coefficients - mean
        total += float(error @ graph.gram.view(len(error), -1) @ error) / 9  # three graphs of three atoms
    assert found.spread == pytest.approx(total)


def test_a_single_structure_has_a_scale(source):
    """One water has one oxygen: no spread about the mean, but a scale that can be learnt with (1 % of the value)."""
    found = module(source, train_size=1).statistics()
    assert (found.scale["O"] >= 0.0099 * found.mean["O"].abs()).all()


def test_without_training_structures_there_are_no_statistics(source):
    data = module(source, train_groups=[])
    assert len(data.graphs("test")) == 1
    with pytest.raises(DatasetError, match="no training structures"):
        data.statistics()


def test_elements_are_those_of_the_structures_in_use(source):
    """Another molecule in the store does not change a dataset that does not use it."""
    assert module(source).source.basis.symbols == ["H", "O"]
    assert source.of([]).basis.symbols == []


def test_electrons_that_the_prior_does_not_hold(source):
    assert module(source).statistics().electrons == pytest.approx({"H": 0.0, "O": 0.0}, abs=1e-10)
    assert (Prior.none().missing("H"), Prior.none().missing("O")) == (1.0, 8.0)


def test_an_element_that_never_occurs_is_named(source):
    graphs = module(source).graphs("train")
    basis = GaussianBasis("with fluorine", {**source.basis.elements, "F": ((0, 1.0),)})
    with pytest.raises(ValueError, match="no F among the training structures"):
        Statistics.of(graphs, basis, source.prior)
