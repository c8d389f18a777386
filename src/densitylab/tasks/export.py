"""``task=export``: labels of a store for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densitylab.tasks.parts import label_source

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.runs import Run


def export(
    config: DictConfig, run: Run, path: str, store: str, format: Literal["auto", "extxyz", "hdf5"] = "auto"
) -> list[dict[str, Any]]:
    """Write the calculations at the level of ``config.labels`` to the file ``path``.

    Raises
    ------
    LabelError
        If the format is unknown, or the store has nothing at this level.
    """
    from densitylab.labels import LabelError
    from densitylab.labels.exporters import write_extxyz, write_hdf5

    source = label_source(config, frozen=True, store=store)
    writers = {"extxyz": write_extxyz, "hdf5": write_hdf5}
    suffixes = {".xyz": "extxyz", ".extxyz": "extxyz", ".h5": "hdf5", ".hdf5": "hdf5"}
    name = suffixes.get(Path(path).suffix, "") if format == "auto" else format
    if name not in writers:
        raise LabelError(f"{path}: unknown format; name it ({', '.join(writers)}) or the file ({', '.join(suffixes)})")
    keys = list(source.infos())
    try:
        writers[name](Path(path), source.store, keys)
    except OSError as error:
        raise LabelError(f"cannot write {path}: {error.strerror}") from None
    print(f"{len(keys)} calculations in {path}")
    return [{"name": "exported", "value": float(len(keys)), "unit": "1", "split": "export", "group": "all"}]
