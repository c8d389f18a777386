"""``task=train``: labels → data → network → objective → trainer → errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from densitylab.build import build
from densitylab.errors import ConfigError
from densitylab.files import write_atomically
from densitylab.keys import fingerprint
from densitylab.outlook import Outlook
from densitylab.report.table import print_metrics
from densitylab.tasks.parts import Split, dataset, label_source, measure, quiet
from densitylab.tasks.trainer import log_results, make_trainer

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pytorch_lightning import Trainer

    from densitylab.dataset import DensityDataModule, Statistics
    from densitylab.density import GaussianBasis
    from densitylab.runs import Run


def train(config: DictConfig, run: Run, splits: tuple[Split, ...] = ("validation", "test")) -> list[dict[str, Any]]:
    """Fit a network to the training split and measure it on ``splits``.

    Leaves ``checkpoints/last.ckpt`` (from which an interrupted run goes on), ``model/`` (safetensors and the
    configuration it needs), ``split.json`` (keys of the labels of each split), ``predictions.h5`` and ``errors.csv``
    (every structure measured) and the logs in the run's directory.
    """
    from densitylab.model.checkpoint import is_model, load_model

    quiet()
    data, trainer = dataset(config), make_trainer(config, run)
    if not is_model(run.path / "model"):  # else what came after the training was interrupted
        _fit(config, run, data, trainer)
    if not trainer.is_global_zero:
        return []  # one process measures, so nothing is counted twice
    write_atomically(run.path / "split.json", json.dumps(data.keys, indent=1) + "\n")
    metrics = measure(config, load_model(run.path / "model", build).network, data, splits, run.path)
    print_metrics(metrics)
    log_results(trainer.loggers, metrics, run.path)
    return metrics


def _fit(config: DictConfig, run: Run, data: DensityDataModule, trainer: Trainer) -> None:
    """Train, from the last checkpoint if there is one, and save the network."""
    from densitylab.dataset.familiarity import Familiar
    from densitylab.labels.calculation import versions
    from densitylab.model.checkpoint import save_model
    from densitylab.tasks.checkpoints import has_ended, load_kept, resumable, why_stopped

    statistics, basis = data.statistics(), data.source.basis
    model, objective = _learner(config, basis, statistics)
    folder = run.path / "checkpoints"
    saved = resumable(folder, objective)
    if not has_ended(saved):
        start = str(folder / "last.ckpt") if saved else None
        trainer.fit(objective, datamodule=data, ckpt_path=start, weights_only=True)
        if why := why_stopped(trainer):
            print(why)
    if not trainer.is_global_zero:
        return
    load_kept(folder, objective)
    options: Any = OmegaConf.to_container(config.model)
    trained_on = (label.calculation.atoms for label in data.labels("train"))
    origin = {
        "level": str(data.source.level),
        "training_data": fingerprint(sorted(data.keys["train"])),
        "programs": versions("densitylab", "torch", "e3nn"),
    }
    save_model(
        run.path / "model", model, options, basis, data.source.prior, statistics, Familiar.of(trained_on), origin
    )


def outlook(config: DictConfig) -> Outlook:
    """Build network, objective, optimiser and trainer, and count the labels; see :mod:`densitylab.outlook`."""
    from densitylab.dataset import DatasetError
    from densitylab.labels import LabelError

    quiet()
    found = Outlook()
    ranks = 1
    try:
        ranks = make_trainer(config, None).world_size
    except ConfigError as error:
        found.here.append(str(error))
    source, elements = label_source(config, frozen=True), config.dataset.get("elements")
    try:
        data = build(config.dataset, source=source)
        found.facts += data.describe()
        source, elements = data.source, data.source.elements
        data.check(ranks, validates=config.objective.get("patience") is not None)
    except (DatasetError, LabelError) as error:
        found.problems.append(str(error))
    if elements:  # else nobody knows which network this will be
        basis = source.of((), elements).basis
        found.facts.insert(0, f"{_parameters(config, basis):,} parameters")
    return found


_counted: dict[str, int] = {}  # the points of a sweep share most of their networks, and some take seconds to build


def _parameters(config: DictConfig, basis: GaussianBasis) -> int:
    """Number of weights of a network that has been built, with its objective and optimiser."""
    from densitylab.dataset import Statistics

    nodes = [OmegaConf.to_container(node, resolve=True) for node in (config.model, config.objective)]
    key = fingerprint([*nodes, basis.describe()])
    if key not in _counted:
        model, objective = _learner(config, basis, Statistics.placeholder(basis))
        objective.optimizer(objective.parameters())
        _counted[key] = sum(weight.numel() for weight in model.parameters())
    return _counted[key]


def _learner(config: DictConfig, basis: GaussianBasis, statistics: Statistics) -> tuple[Any, Any]:
    """Network and objective."""
    model = build(config.model, basis=basis, statistics=statistics)
    return model, build(config.objective, model=model, statistics=statistics)
