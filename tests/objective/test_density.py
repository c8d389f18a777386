from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch_geometric.data import Batch

from densitylab.dataset import DensityDataModule
from densitylab.model import DensityNetwork
from densitylab.objective import DensityObjective
from densitylab.tasks.checkpoints import LastCheckpoint, load_kept


def parts(source, steps_seed=0, metric="overlap", **options):
    torch.manual_seed(steps_seed)
    data = DensityDataModule(source, 4.0, ["a"], ["b"], ["c"], batch_size=2, metric=metric)
    statistics = data.statistics()
    model = DensityNetwork(source.basis, statistics, lmax=1, channels=4, layers=1, dtype="float64")
    return data, DensityObjective(model, statistics, partial(torch.optim.Adam, lr=1e-2), metric, **options)


def trainer(folder, steps, callbacks=(), validations=0):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"limit_val_batches": validations, "num_sanity_val_steps": 0, "check_val_every_n_epoch": None}
    quiet |= {"val_check_interval": 2, "use_distributed_sampler": False}
    checkpoints = {"callbacks": list(callbacks), "enable_checkpointing": bool(callbacks), "default_root_dir": folder}
    return Trainer(max_steps=steps, max_epochs=1, accelerator="cpu", **checkpoints, **quiet)


def test_loss_of_the_truth_is_zero_and_of_the_mean_is_one(source):
    data, objective = parts(source)
    batch = Batch.from_data_list(data.graphs("train"))
    objective.coefficient_weight = 0.0
    truth = batch.coefficients.clone()
    objective.model.forward = lambda graph: truth
    assert float(objective.loss(batch)) == 0.0
    mean = torch.cat([data.statistics().mean[("H", "O")[index]] for index in batch.species.tolist()])
    objective.model.forward = lambda graph: mean
    assert float(objective.loss(batch)) == pytest.approx(1.0)


def test_divergence_is_an_error(source, tmp_path):
    data, objective = parts(source)
    objective.model.forward = lambda graph: graph.coefficients * float("nan")
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        trainer(tmp_path, steps=3).fit(objective, datamodule=data)


@pytest.mark.parametrize("metric", ["overlap", "coulomb", "coefficient", "grid"])
def test_training_lowers_the_loss(source, tmp_path, metric):
    data, objective = parts(source, metric=metric)
    batch = Batch.from_data_list(data.graphs("train"))
    before = objective.loss(batch).item()
    trainer(tmp_path, steps=60).fit(objective, datamodule=data)
    # squares fall faster than the absolute error of the grid
    assert objective.loss(batch).item() < (0.5 if metric == "grid" else 0.1) * before


def test_the_average_of_the_weights_is_what_validates_and_stays(source, tmp_path):
    """The average begins with the weights after the first step; with a decay of 1 it stays there."""
    data, one_step = parts(source, schedule="constant")
    trainer(tmp_path, 1).fit(one_step, datamodule=data)
    data, objective = parts(source, schedule="constant", ema_decay=1.0)
    fitted = trainer(tmp_path, 6, validations=1.0)
    fitted.fit(objective, datamodule=data)
    for weight, first in zip(objective.model.parameters(), one_step.model.parameters(), strict=True):
        assert torch.equal(weight, first)
    validation = Batch.from_data_list(data.graphs("validation"))
    assert fitted.callback_metrics["validation_loss"].item() == pytest.approx(objective.loss(validation).item())


def test_the_average_leaves_buffers_alone(source, tmp_path):
    """0.9 · 31 + 0.1 · 31 is 30 in integers: numbers of functions are not to be averaged."""
    data, objective = parts(source, ema_decay=0.9)
    before = {name: buffer.clone() for name, buffer in objective.model.named_buffers()}
    trainer(tmp_path, 6, validations=1.0).fit(objective, datamodule=data)
    for name, buffer in objective.model.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_training_stops_when_validation_no_longer_improves(source, tmp_path):
    data, objective = parts(source, ema_decay=1.0, patience=3)  # the average never moves, so nothing improves
    fitted = trainer(tmp_path, 100, validations=1.0)
    fitted.fit(objective, datamodule=data)
    assert fitted.global_step == 8  # the first of the validations, every 2 steps, and 3 without progress


class Stop(Callback):
    """Leave in the middle, as Ctrl-C would."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "options",
    [{}, {"metric": "grid", "schedule": "constant", "ema_decay": 0.8}, {"ema_decay": 0.8, "patience": 2}],
    ids=["plain", "grid and average", "average and patience"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(source, tmp_path, options):
    """Bit for bit, in float64, the network and when it was best: a checkpoint every 4 steps, stops at 7, 8, 12 of 12.

    Validation comes every 2 steps, so also right after each checkpoint; the last stop is after the last step.
    """

    def fit(folder, stop=None, seed=0, **more):
        data, objective = parts(source, steps_seed=seed, **options)
        best = ModelCheckpoint(folder, "best", monitor="validation_loss", enable_version_counter=False)
        callbacks = [best, LastCheckpoint(folder, every=4), *([Stop(stop)] if stop else [])]
        fitted = trainer(folder, 12, callbacks, validations=1.0)
        fitted.fit(objective, datamodule=data, **more)
        return fitted, objective, best

    whole, objective, best = fit(tmp_path / "whole")
    folder, last = tmp_path / "stopped", str(tmp_path / "stopped" / "last.ckpt")
    for seed, stop in enumerate((7, 8, 12)):
        if stop <= whole.global_step:
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                fit(folder, stop, seed, **({"ckpt_path": last, "weights_only": True} if seed else {}))
    again, resumed, best_again = fit(folder, seed=99, ckpt_path=last, weights_only=True)
    assert again.global_step == whole.global_step
    assert best_again.best_model_score == best.best_model_score
    load_kept(tmp_path / "whole", objective)
    load_kept(folder, resumed)
    for one, other in zip(objective.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("metric", ["overlap", "coefficient", "grid"])
def test_what_is_not_trusted_is_not_learnt(source, metric):
    """Whatever an import says of atoms whose surroundings are unknown, loss and statistics stay the same."""
    data, objective = parts(source, metric=metric)
    losses, means = [], []
    for nonsense in (0.0, 5.0):
        for graph, label in zip(data.graphs("train"), data.labels("train"), strict=True):
            label.calculation.atoms.info["untrusted_atoms"] = [2]  # a hydrogen
            graph.trusted = torch.as_tensor(label.trusted())
            graph.coefficients = graph.coefficients + nonsense * (1 - graph.trusted)
        batch = Batch.from_data_list(data.graphs("train"))
        losses.append(objective.loss(batch).item())
        means.append(data.statistics().mean["H"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert torch.equal(*means)
    trusted = torch.cat([graph.trusted for graph in data.graphs("train")])
    assert trusted.sum() == len(data.graphs("train")) * (source.basis.size("O") + source.basis.size("H"))
