import math

import pytest
import torch

from densitylab.dataset import Statistics, graph_from_atoms
from densitylab.density import from_basis_set_exchange
from densitylab.model.errors import ModelError
from densitylab.model.rackers2023 import InvariantNetwork, RackersNetwork, row_irreps
from tests.model.suite import BASIS, DensityModelSuite, statistics, waters

SMALL = {"widths": [8, 4, 3], "layers": 1, "neurons": 8, "cutoff": 4.0}


@pytest.fixture(scope="module")
def jfit():
    return from_basis_set_exchange("def2-universal-JFIT", ["H", "O"])


@pytest.fixture(autouse=True)
def double():
    """e3nn writes its constants down in the default type when a network is built."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class TestRackersNetwork(DensityModelSuite):
    conserves_charge = False

    def make(self, lmax: int, statistics: Statistics) -> RackersNetwork:
        return RackersNetwork(BASIS, statistics, **{**SMALL, "widths": SMALL["widths"][: lmax + 1]})

    test_float32_features_and_float64_coefficients = None  # the fixture above makes float64 networks


class TestInvariantNetwork(TestRackersNetwork):
    equivariant = False

    def make(self, lmax: int, statistics: Statistics) -> InvariantNetwork:
        return InvariantNetwork(BASIS, statistics, **{**SMALL, "widths": SMALL["widths"][: lmax + 1]})


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def test_row_of_the_paper(jfit):
    assert str(row_irreps(jfit)) == "12x0e+5x1o+4x2e+2x3o+1x4e"  # FACTS.md §1.1


def test_number_of_parameters_is_that_of_the_public_code(jfit):
    """FACTS.md §1.5, water density model: 983,493."""
    model = RackersNetwork(jfit, statistics(), widths=[125, 40, 25, 15], edge_lmax=3)
    assert parameters(model) == 983_493


@pytest.mark.parametrize(("lmax", "millions"), [(0, 2.16), (1, 1.42), (2, 1.17)])
def test_equal_feature_series(jfit, lmax, millions):
    """FACTS.md §1.5: equal in feature dimension, not in parameters."""
    assert parameters(RackersNetwork(jfit, statistics(), lmax=lmax, edge_lmax=3)) / 1e6 == pytest.approx(
        millions, abs=0.01
    )


def test_without_a_published_width():
    with pytest.raises(ModelError, match="no equal-feature width for lmax=6"):
        RackersNetwork(BASIS, statistics(), lmax=6)


def test_population_scaling_makes_s_outputs_electrons(jfit):
    """y = 2√2 c / N is the number of electrons in an s-primitive: Σ y over s = electrons (FACTS.md §1.3)."""
    model = RackersNetwork(jfit, statistics(), widths=[2], layers=1, neurons=2)
    atoms = waters(1)
    graph = graph_from_atoms(atoms, ["H", "O"], 4.0)
    coefficients = torch.randn(jfit.shells(atoms).size, generator=torch.Generator().manual_seed(0))
    shells = jfit.shells(atoms)
    is_s = torch.repeat_interleave(shells.l == 0, 2 * shells.l + 1)
    y = coefficients / model.scales(graph)
    assert float(y[is_s].sum()) == pytest.approx(float(shells.charges() @ coefficients), rel=1e-12)
    assert math.isclose(float(model.scales(graph).min()), float(model.scales(graph).abs().min()))
