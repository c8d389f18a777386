import pytest
import torch

from densitylab.dataset import Statistics, graph_from_atoms
from densitylab.density import GaussianBasis
from densitylab.model import DensityNetwork
from densitylab.model.backbone import Backbone
from densitylab.model.errors import ModelError
from densitylab.model.heads import DensityHead
from tests.model.suite import BASIS, CUTOFF, DensityModelSuite, statistics, waters


class TestDensityNetwork(DensityModelSuite):
    def make(self, lmax: int, statistics: Statistics) -> DensityNetwork:
        return DensityNetwork(BASIS, statistics, lmax=lmax, channels=8, layers=2, cutoff=CUTOFF)

    def test_reference_kernel_gives_the_same_network(self):
        fast = self.network(2)
        slow = DensityNetwork(
            BASIS, statistics(), lmax=2, channels=8, layers=2, cutoff=CUTOFF, kernel="reference"
        ).double()
        slow.load_state_dict(fast.state_dict())
        first, second = self.coefficients(fast, waters()), self.coefficients(slow, waters())
        assert (first - second).abs().max() < 1e-12 * first.abs().max()  # the same sums in another order

    def test_density_is_continuous_at_the_cutoff(self):
        """A neighbour that crosses the cutoff changes nothing: the radial functions and their weights end at zero."""
        model = self.network(1)
        pair = waters(2)
        pair.positions[3:] += [30.0, 0, 0]
        alone = self.coefficients(model, pair)
        pair.positions[3:] += pair.positions[0] - pair.positions[3] + [CUTOFF - 1e-5, 0, 0]
        pair.positions[4:] += [3.0, 0, 0]  # only the oxygen is within reach
        size = BASIS.size("O")
        # 1e-5 Å inside, the envelope is (1e-5 / 4)³ ≈ 1e-17 and its products are no larger.
        assert (alone[:size] - self.coefficients(model, pair)[:size]).abs().max() < 1e-12


def test_contract_between_backbone_and_head():
    """A basis with an l that the backbone does not make is refused when the network is built."""
    backbone = Backbone(elements=2, neighbours=5.0, l_out=2)
    high = GaussianBasis("high", {"H": ((3, 1.0), (4, 1.0))})
    with pytest.raises(ModelError, match="H in high needs 3o, 4e, the backbone has 32x0e"):
        DensityHead(backbone.irreps_out, high, statistics(), radial=8)


def test_nonsense_options_are_refused():
    with pytest.raises(ModelError, match="layers ≥ 1"):
        DensityNetwork(BASIS, statistics(), layers=0)


def test_lmax_zero_reaches_every_l_of_the_basis():
    """Hidden scalars and edge harmonics up to the basis' largest l make all outputs (DESIGN.md, lmax)."""
    torch.manual_seed(0)
    network = DensityNetwork(BASIS, statistics(), lmax=0, edge_lmax=0, channels=4, layers=1)
    g_shell = network(graph_from_atoms(waters(), BASIS.symbols, CUTOFF))[BASIS.size("O") - 9 : BASIS.size("O")]
    assert (g_shell != 0).all()
