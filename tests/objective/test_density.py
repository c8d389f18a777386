from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch_geometric.data import Batch

from densitylab.dataset import DensityDataModule
from densitylab.density import Density
from densitylab.density.grid import atom_centered
from densitylab.model import DensityNetwork
from densitylab.objective import DensityObjective
from densitylab.objective.density import overlap_norms


def parts(source, steps_seed=0):
    torch.manual_seed(steps_seed)
    data = DensityDataModule(source, 4.0, ["a"], ["b"], ["c"], batch_size=2)
    statistics = data.statistics()
    model = DensityNetwork(source.basis, statistics, lmax=1, channels=4, layers=1, dtype="float64")
    return data, DensityObjective(model, statistics, partial(torch.optim.Adam, lr=1e-2))


def trainer(folder, steps, callbacks=()):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    checkpoints = {"callbacks": list(callbacks), "enable_checkpointing": bool(callbacks), "default_root_dir": folder}
    return Trainer(max_steps=steps, max_epochs=1, accelerator="cpu", **checkpoints, **quiet)


def test_overlap_norm_is_the_squared_l2_error(source):
    """ΔcᵀSΔc = ∫Δρ² dr, checked by quadrature for a batch of two."""
    data, _ = parts(source)
    graphs, labels = data.graphs("validation"), data.labels("validation")
    batch = Batch.from_data_list(graphs)
    difference = 0.1 * torch.randn(len(batch.coefficients), dtype=torch.float64)
    norms = overlap_norms(difference, batch)
    for norm, part, label in zip(norms, difference.split(batch.num_functions.tolist()), labels, strict=True):
        grid = atom_centered(label.calculation.atoms, level=6)
        density = Density.from_basis(source.basis, label.calculation.atoms, part)
        # the level-6 grid integrates products of the tightest functions (exponents to 1e3) to about 1e-5
        assert float(norm) == pytest.approx(float(grid.integrate(density.values(grid.points).square())), rel=1e-4)


def test_loss_of_the_truth_is_zero_and_of_the_mean_is_one(source):
    data, objective = parts(source)
    batch = Batch.from_data_list(data.graphs("train"))
    objective.coefficient_weight = 0.0
    truth = batch.coefficients.clone()
    objective.model.forward = lambda graph: truth
    assert float(objective._errors(batch)[0]) == 0.0
    mean = torch.cat([data.statistics().mean[("H", "O")[index]] for index in batch.species.tolist()])
    objective.model.forward = lambda graph: mean
    assert float(objective._errors(batch)[0]) == pytest.approx(1.0)


def test_divergence_is_an_error(source, tmp_path):
    data, objective = parts(source)
    objective.model.forward = lambda graph: graph.coefficients * float("nan")
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        trainer(tmp_path, steps=3).fit(objective, datamodule=data)


def test_training_lowers_the_loss(source, tmp_path):
    data, objective = parts(source)
    batch = Batch.from_data_list(data.graphs("train"))
    before = objective._errors(batch)[0].item()
    trainer(tmp_path, steps=60).fit(objective, datamodule=data)
    assert objective._errors(batch)[0].item() < 0.1 * before


class Stop(Callback):
    """Leave in the middle, as Ctrl-C would."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


def test_a_resumed_run_equals_an_uninterrupted_one(source, tmp_path):
    """Bit for bit, in float64: parameters after 12 steps, with a stop at step 7 and a checkpoint every 3."""
    data, whole = parts(source)
    trainer(tmp_path, 12).fit(whole, datamodule=data)

    data, first = parts(source)
    checkpoint = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=3, save_top_k=0)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(tmp_path, 12, [checkpoint, Stop(7)]).fit(first, datamodule=data)

    data, resumed = parts(source, steps_seed=99)
    trainer(tmp_path, 12).fit(resumed, datamodule=data, ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
