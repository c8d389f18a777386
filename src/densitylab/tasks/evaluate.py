"""``task=evaluate``: a trained network against the labels of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from densitylab.build import build
from densitylab.outlook import Outlook
from densitylab.report.table import print_metrics
from densitylab.tasks.parts import Split, label_source, measure, quiet

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.dataset import DensityDataModule
    from densitylab.model.checkpoint import TrainedModel
    from densitylab.runs import Run


def evaluate(config: DictConfig, run: Run, model: str, split: Split = "test") -> list[dict[str, Any]]:
    """Measure the network in the folder ``model`` (as ``task=train`` leaves it) on a split.

    Leaves ``predictions.h5`` and ``errors.csv`` (every structure) in the run's directory.

    Basis, prior, elements and cutoff are the network's own, whatever the configuration says.

    Raises
    ------
    ModelError
        If the folder holds no model.
    BasisError
        If the labels have an element that the network does not know.
    """
    quiet()
    trained, data = _load(config, Path(model))
    data.prepare_data()
    metrics = measure(config, trained.network, data, [split], run.path)
    print_metrics(metrics)
    return metrics


def outlook(config: DictConfig) -> Outlook:
    """Load the network and count the labels; see :mod:`densitylab.outlook`."""
    quiet()
    _, data = _load(config, Path(config.task.model), frozen=True)
    return Outlook(data.describe())


def _load(config: DictConfig, folder: Path, frozen: bool = False) -> tuple[TrainedModel, DensityDataModule]:
    """The network, and the labels in its own representation."""
    from densitylab.model.checkpoint import load_model

    trained = load_model(folder, build)
    own = {"basis": lambda elements: trained.basis, "prior": lambda **known: trained.prior}
    source = label_source(config, frozen, **own)
    return trained, build(config.dataset, source=source, cutoff=trained.cutoff, elements=trained.basis.symbols)
