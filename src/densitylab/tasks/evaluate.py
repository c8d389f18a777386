"""``task=evaluate``: a trained network against the labels of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from densitylab.build import build
from densitylab.report.table import print_metrics
from densitylab.tasks.parts import label_source, measure, quiet

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.runs import Run


def evaluate(config: DictConfig, run: Run, model: str, split: str = "test") -> list[dict[str, Any]]:
    """Measure the network in the folder ``model`` (as ``task=train`` leaves it) on a split.

    Basis, prior, elements and cutoff are the network's own, whatever the configuration says.

    Raises
    ------
    ModelError
        If the folder holds no model.
    BasisError
        If the labels have an element that the network does not know.
    """
    from densitylab.model.checkpoint import load_model

    quiet()
    trained = load_model(Path(model), build)
    source = label_source(config, basis=lambda elements: trained.basis, prior=lambda **known: trained.prior)
    data = build(config.dataset, source=source, cutoff=trained.cutoff)
    data.prepare_data()
    metrics = measure(trained.network, data, split)
    print_metrics(metrics)
    return metrics
