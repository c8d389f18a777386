"""The parts that several tasks put together from a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densitylab.build import build

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import nn

    from densitylab.dataset import DensityDataModule
    from densitylab.labels.source import LabelSource

Split = Literal["train", "validation", "test"]


def quiet() -> None:
    """Our own lines only: what Lightning and W&B announce at every start is not news."""
    import logging
    import os
    import warnings

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    os.environ.setdefault("WANDB_SILENT", "true")
    warnings.filterwarnings("ignore", module="pytorch_lightning")


def label_source(config: DictConfig, frozen: bool = False, **instead: Any) -> LabelSource:
    """The labels that a configuration selects; ``store``, ``basis`` and ``prior`` may be given ``instead``.

    A ``frozen`` source computes nothing: what is not in the store is missing.
    """
    from densitylab.labels.source import LabelSource, own_level
    from densitylab.labels.store import Store

    level, fit = build(config.labels.level), build(config.labels.fit)
    basis, prior = (instead.get(name) or build(config[name]) for name in ("basis", "prior"))
    store = Store(instead.get("store") or config.labels.store, frozen)
    return LabelSource(
        store, own_level(store, level), fit, basis, prior, config.labels.licence, engine=config.labels.engine
    )


def dataset(config: DictConfig) -> DensityDataModule:
    """The data module, every label fitted."""
    data: DensityDataModule = build(config.dataset, source=label_source(config))
    data.prepare_data()
    return data


def measure(
    config: DictConfig, model: nn.Module, data: DensityDataModule, splits: Sequence[Split], folder: Path
) -> list[dict[str, Any]]:
    """Metrics of the splits; every structure goes into ``predictions.h5`` and ``errors.csv`` in ``folder``."""
    from tqdm import tqdm

    from densitylab.evaluation import summarise
    from densitylab.evaluation.predict import predict_coefficients
    from densitylab.evaluation.predictions import Prediction, write_errors, write_predictions

    errors_of, predictions = build(config.evaluation), []
    for split in splits:
        pairs = zip(data.labels(split), data.graphs(split), strict=True)
        for label, graph in tqdm(pairs, desc=f"measuring {split}", total=len(data.keys[split]), unit="structure"):
            coefficients = predict_coefficients(model, graph)
            predictions.append(Prediction(split, label, coefficients, errors_of(label, coefficients)))
    write_predictions(folder / "predictions.h5", predictions)
    write_errors(folder / "errors.csv", predictions)
    return [row for split in splits for row in summarise([p.errors for p in predictions if p.split == split], split)]
