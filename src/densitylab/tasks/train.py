"""``task=train``: labels → data → network → objective → trainer → errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from densitylab.build import build
from densitylab.errors import ConfigError
from densitylab.files import write_atomically
from densitylab.report.table import print_metrics
from densitylab.tasks.parts import dataset, measure, quiet

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.runs import Run


def train(config: DictConfig, run: Run) -> list[dict[str, Any]]:
    """Fit a network to the training split and measure it on validation and test split.

    Leaves ``checkpoints/last.ckpt`` (from which an interrupted run goes on), ``model/`` (safetensors and the
    configuration it needs), ``split.json`` (keys of the labels of each split) and the logs in the run's directory.
    """
    from densitylab.model.checkpoint import save_model

    quiet()
    data = dataset(config)
    statistics = data.statistics()
    basis, prior = data.source.basis, data.source.prior
    model = build(config.model, basis=basis, statistics=statistics)
    objective = build(config.objective, model=model, statistics=statistics)
    trainer = _trainer(config, run)
    last = run.path / "checkpoints" / "last.ckpt"
    trainer.fit(objective, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    if not trainer.is_global_zero:
        return []  # one process measures, so nothing is counted twice
    options: Any = OmegaConf.to_container(config.model)
    save_model(run.path / "model", model, options, basis, prior, statistics)
    write_atomically(run.path / "split.json", json.dumps(data.keys, indent=1) + "\n")
    metrics = [row for split in ("validation", "test") for row in measure(model, data, split)]
    print_metrics(metrics)
    return metrics


def _trainer(config: DictConfig, run: Run) -> Any:
    import torch

    options: dict[str, Any] = {"logger": _loggers(config, run), "callbacks": _callbacks(run)}
    if config.trainer.accelerator == "auto" and not torch.cuda.is_available():
        options["accelerator"] = "cpu"  # Lightning would take Apple's GPU, which has no float64
    trainer = build(config.trainer, **options)
    if trainer.accumulate_grad_batches != 1:
        raise ConfigError("trainer.accumulate_grad_batches must be 1: budgets and batches count steps; see batch_size")
    return trainer


def _callbacks(run: Run) -> list[Any]:
    from pytorch_lightning.callbacks import ModelCheckpoint

    return [ModelCheckpoint(run.path / "checkpoints", save_last=True, every_n_train_steps=250, save_top_k=0)]


def _loggers(config: DictConfig, run: Run) -> list[Any]:
    """Loggers that write into the run's directory; a sweep is one W&B group."""
    attempts = len(list(run.path.glob("logs*")))  # a resumed run keeps what it logged before
    own = {"csv": {"save_dir": run.path, "name": "", "version": f"logs-{attempts + 1}" if attempts else "logs"}}
    own["wandb"] = {"save_dir": run.path, "name": run.path.name, "group": config.name}
    return [build(node)(**own.get(name, {})) for name, node in (config.logger or {}).items()]
