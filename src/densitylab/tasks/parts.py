"""The parts that several tasks put together from a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densitylab.build import build

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import nn

    from densitylab.dataset import DensityDataModule
    from densitylab.labels.source import LabelSource


def quiet() -> None:
    """Our own lines only: what Lightning and W&B announce at every start is not news."""
    import logging
    import os
    import warnings

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    os.environ.setdefault("WANDB_SILENT", "true")
    warnings.filterwarnings("ignore", module="pytorch_lightning")


def label_source(config: DictConfig, **instead: Any) -> LabelSource:
    """The labels that a configuration selects; ``store``, ``basis`` and ``prior`` may be given ``instead``."""
    from densitylab.labels.source import LabelSource
    from densitylab.labels.store import Store

    level, fit = build(config.labels.level), build(config.labels.fit)
    basis, prior = (instead.get(name) or build(config[name]) for name in ("basis", "prior"))
    store = Store(instead.get("store") or config.labels.store)
    return LabelSource(store, level, fit, basis, prior, config.labels.licence)


def dataset(config: DictConfig) -> DensityDataModule:
    """The data module, every label fitted."""
    data: DensityDataModule = build(config.dataset, source=label_source(config))
    data.prepare_data()
    return data


def measure(model: nn.Module, data: DensityDataModule, split: str) -> list[dict[str, Any]]:
    """Metrics of a split, with a progress bar: grids are what takes the time."""
    from tqdm import tqdm

    from densitylab.evaluation import density_errors, summarise
    from densitylab.evaluation.predict import predict_coefficients

    pairs = zip(data.labels(split), data.graphs(split), strict=True)
    errors = [
        density_errors(label, predict_coefficients(model, graph))
        for label, graph in tqdm(pairs, desc=f"measuring {split}", total=len(data.keys[split]), unit="structure")
    ]
    return summarise(errors, split)
