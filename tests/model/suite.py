"""What every density model has to pass: inherit :class:`DensityModelSuite` and say how the model is made."""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation
from torch_geometric.data import Batch

from densitylab.dataset import Statistics, graph_from_atoms
from densitylab.density import Density, GaussianBasis, Prior
from densitylab.model.checkpoint import load_model, save_model
from densitylab.structures import prepare

BASIS = GaussianBasis(
    "test",
    {
        "H": ((0, 0.6), (0, 2.5), (1, 0.9), (2, 1.1)),
        "O": ((0, 0.3), (0, 1.5), (0, 8.0), (1, 0.8), (2, 1.2), (3, 1.4), (4, 1.6)),
    },
)
CUTOFF = 4.0
# A rotated network in float64 differs by rounding only: some 1e3 operations on numbers of order one, well below 1e-12.
TOLERANCE = 1e-10


def statistics() -> Statistics:
    """Made-up statistics: a mean for l = 0 only, one scale per shell."""
    generator = torch.Generator().manual_seed(7)
    mean, scale = {}, {}
    for symbol in BASIS.symbols:
        shells = BASIS.of(symbol)
        means = [torch.randn((), generator=generator) * (l == 0) for l, _ in shells]
        scales = [torch.rand((), generator=generator) + 0.5 for _ in shells]
        widths = [2 * l + 1 for l, _ in shells]
        mean[symbol] = torch.cat([m.expand(w) for m, w in zip(means, widths, strict=True)]).double()
        scale[symbol] = torch.cat([s.expand(w) for s, w in zip(scales, widths, strict=True)]).double()
    return Statistics(mean, scale, {"H": 0.0, "O": 0.0}, neighbours=5.0, spread=1.0)


def waters(number: int = 3, seed: int = 3) -> Atoms:
    """Randomly turned molecules in a row, 2.8 Å apart."""
    positions = []
    for index, rotation in enumerate(Rotation.random(number, rng=seed)):
        molecule = [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]
        positions.extend(rotation.apply(molecule) + index * np.array([2.8, 0.3, -0.2]))
    return prepare(Atoms("OHH" * number, positions=positions))


class DensityModelSuite:
    """Subclasses define ``make(lmax, statistics) -> nn.Module`` (for BASIS and CUTOFF)."""

    conserves_charge = True
    equivariant = True

    def make(self, lmax: int, statistics: Statistics):
        raise NotImplementedError

    def network(self, lmax: int):
        torch.manual_seed(0)
        model = self.make(lmax, statistics()).double().eval()
        model.lmax = lmax
        return model

    def coefficients(self, model, atoms: Atoms) -> torch.Tensor:
        with torch.no_grad():
            return model(graph_from_atoms(atoms, BASIS.symbols, CUTOFF))

    def density(self, model, atoms: Atoms) -> Density:
        return Density.from_basis(BASIS, atoms, self.coefficients(model, atoms))

    @pytest.fixture(params=(0, 1, 2))
    def model(self, request):
        return self.network(request.param)

    @pytest.mark.parametrize("determinant", [1.0, -1.0])
    def test_density_turns_with_the_molecule(self, model, determinant):
        """ρ of the rotated (and inverted) molecule at rotated points is ρ of the molecule at the points."""
        atoms = waters()
        matrix = determinant * Rotation.random(rng=5).as_matrix()
        turned = atoms.copy()
        turned.positions = atoms.positions @ matrix.T
        points = 3.0 * torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        before = self.density(model, atoms).values(points)
        after = self.density(model, turned).values(points @ torch.as_tensor(matrix).T)
        change = (before - after).abs().max() / before.abs().max()
        assert change < TOLERANCE if self.equivariant else change > 0.01

    def test_density_does_not_depend_on_the_origin(self, model):
        atoms = waters()
        moved = atoms.copy()
        moved.positions += [11.0, -7.0, 5.0]
        before, after = self.coefficients(model, atoms), self.coefficients(model, moved)
        assert (before - after).abs().max() < TOLERANCE * before.abs().max()

    def test_density_does_not_depend_on_the_order_of_atoms(self, model):
        atoms = waters()
        order = torch.randperm(len(atoms), generator=torch.Generator().manual_seed(2)).numpy()
        points = torch.randn(100, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        before = self.density(model, atoms).values(points)
        after = self.density(model, atoms[order]).values(points)
        assert (before - after).abs().max() < TOLERANCE * before.abs().max()

    def test_every_component_is_used(self, model):
        """No output is unreachable: all coefficients of two different structures differ."""
        first, second = self.coefficients(model, waters(seed=3)), self.coefficients(model, waters(seed=4))
        assert (first != second).all()

    @pytest.mark.parametrize("charge", [0, -1])
    def test_electrons_are_exact(self, model, charge):
        if not self.conserves_charge:
            pytest.skip("published without charge conservation")
        atoms = prepare(waters(), charge=charge, multiplicity=1 - charge)
        # ∫Δρ = −Q; a sum of some 200 terms of order one in float64
        assert float(self.density(model, atoms).electrons()) == pytest.approx(-charge, abs=1e-12)

    def test_far_molecules_do_not_know_of_each_other(self, model):
        """The density of two molecules 50 Å apart is the sum of the two: no global correction leaks charge."""
        left, right = waters(2, seed=1), waters(1, seed=2)
        right.positions += [50.0, 0, 0]
        apart = torch.cat([self.coefficients(model, left), self.coefficients(model, right)])
        together = self.coefficients(model, prepare(left + right))
        assert (apart - together).abs().max() < TOLERANCE * apart.abs().max()

    def test_a_batch_is_its_structures(self, model):
        structures = [waters(1), waters(3), waters(2)]
        graphs = [graph_from_atoms(atoms, BASIS.symbols, CUTOFF) for atoms in structures]
        with torch.no_grad():
            batched = model(Batch.from_data_list(graphs))
            single = torch.cat([model(graph) for graph in graphs])
        assert (batched - single).abs().max() < TOLERANCE * single.abs().max()

    def test_a_single_atom_has_a_density(self, model):
        atoms = prepare(Atoms("O", positions=[[0, 0, 0]]), multiplicity=3)
        assert torch.isfinite(self.coefficients(model, atoms)).all()

    def test_every_parameter_learns(self, model):
        """Also on a rank that lacks an element: a missing gradient would stop distributed training."""
        model.train()
        graph = graph_from_atoms(prepare(Atoms("HH", positions=[[0, 0, 0], [0.74, 0, 0]])), BASIS.symbols, CUTOFF)
        model(graph).square().sum().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []

    def test_float32_features_and_float64_coefficients(self):
        model = self.make(2, statistics())
        assert next(model.parameters()).dtype == torch.float32
        assert model(graph_from_atoms(waters(), BASIS.symbols, CUTOFF)).dtype == torch.float64

    def test_saved_and_loaded_is_the_same(self, model, tmp_path):
        prior = Prior("toy", {"H": ((1.0, 0.5),), "O": ((2.0, 3.0),)})
        save_model(tmp_path, model, {"cutoff": CUTOFF, "lmax": model.lmax}, BASIS, prior, statistics())
        again = load_model(tmp_path, lambda options, basis, statistics: self.make(options["lmax"], statistics).double())
        assert (again.basis, again.prior, again.cutoff) == (BASIS, prior, CUTOFF)
        assert torch.equal(self.coefficients(model, waters()), self.coefficients(again.network.eval(), waters()))
