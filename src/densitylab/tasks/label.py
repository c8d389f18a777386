"""``task=label``: structures → calculations → fits, into the store."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from densitylab.build import build
from densitylab.outlook import Outlook
from densitylab.process import command_name
from densitylab.report.table import print_metrics
from densitylab.tasks.parts import label_source

if TYPE_CHECKING:
    from ase import Atoms
    from omegaconf import DictConfig

    from densitylab.labels.share import Outcome
    from densitylab.labels.source import LabelSource
    from densitylab.runs import Run


def label(
    config: DictConfig, run: Run, store: str = "labels", pack: str | None = None, worker: int = 0
) -> list[dict[str, Any]]:
    """Label every structure of ``config.structures``; what is in the store is not made again.

    A structure that cannot be labelled is recorded in the store with its reason and does not stop the others.
    ``store`` is the folder of the labels; ``pack`` moves its loose records into the shard of that name at the end.
    Any number of processes share the work, and each ends when all of it is done: ``worker`` is the number of this one.

    Raises
    ------
    LabelError
        At the end, if a structure failed.
    """
    from omegaconf import OmegaConf

    from densitylab.labels import LabelError
    from densitylab.labels.label import stored_structures

    recipe: Any = OmegaConf.to_container(config.structures, resolve=True)
    source = label_source(config, store=store)
    structures = stored_structures(source.store, recipe, lambda: build(config.structures))
    outcomes = _label_all(structures, source)
    reasons = [outcome.reason for outcome in outcomes if not outcome.key]
    if reasons:
        where = f"{len(reasons)} of {len(outcomes)} structures have no label, see {source.store.path / 'failure'}"
        raise LabelError(f"{where}: {'; '.join(sorted(set(reasons)))}")
    if pack and worker == 0:
        source.store.pack(pack)
    metrics = _floors(source, [outcome.key for outcome in outcomes])
    print_metrics(metrics)
    return metrics


def outlook(config: DictConfig) -> Outlook:
    """Look for structures, and which of them have no calculation yet; see :mod:`densitylab.outlook`."""
    from omegaconf import OmegaConf

    from densitylab.labels.calculation import calculation_key
    from densitylab.labels.label import stored_structures, structures_file

    recipe: Any = OmegaConf.to_container(config.structures, resolve=True)
    source = label_source(config, store=config.task.store)
    file = structures_file(source.store, recipe)
    if file is not None and not file.is_file():
        return Outlook(["structures not made yet"])
    structures = stored_structures(source.store, recipe, lambda: build(config.structures))
    keys = [calculation_key(atoms, source.level) for atoms in structures]
    missing = sum(not source.store.has("calculation", key) for key in keys)
    return Outlook([f"{len(keys)} structures", f"{missing} calculations missing"])


def _label_all(structures: list[Atoms], source: LabelSource) -> list[Outcome]:
    """In the order of the structures, with a bar of what all processes together have done."""
    from tqdm import tqdm

    from densitylab.labels.share import label_all

    found = label_all(structures, source, command_name())
    bar = tqdm(found, desc="labelling", total=len(structures), unit="structure")
    return [outcome for _, outcome in sorted(bar, key=lambda pair: pair[0])]


def _floors(source: LabelSource, keys: list[str]) -> list[dict[str, Any]]:
    """Mean floor per size of the structure."""
    from densitylab.evaluation.metrics import metric

    groups: dict[str, list[float]] = defaultdict(list)
    for key in keys:
        meta = source.store.meta("fit", key)
        info = source.store.meta("calculation", meta["calculation"])["info"]
        if "epsilon_floor_percent" in meta["residuals"]:  # not of what was imported without orbitals
            groups[str(info.get("size", info["group"]))].append(meta["residuals"]["epsilon_floor_percent"])
    return [metric("epsilon_floor", fmean(values), "%", "label", group) for group, values in sorted(groups.items())]
