"""``densitylab.load``: a trained network by name or folder, ready to predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from densitylab.build import build
from densitylab.config import shipped
from densitylab.errors import did_you_mean

if TYPE_CHECKING:
    import torch

    from densitylab.evaluation.predictor import Predictor


def load(model: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Predictor:
    """A trained network.

    Parameters
    ----------
    model: a folder that ``task=train`` left (``outputs/NAME``), or the name of a model that comes with densitylab.
        Nothing in it is executed: it can only name a network of densitylab's and plain numbers.
    device: e.g. ``"cuda"``.
    dtype: of the densities, float64 by default.

    Raises
    ------
    ModelError
        If there is no such model, or it cannot be read.
    """
    import torch

    from densitylab.evaluation.predictor import Predictor
    from densitylab.model.checkpoint import load_model

    return Predictor(load_model(find_model(model), build), device, dtype or torch.float64)


def find_model(model: str | Path) -> Path:
    """The folder of a model. Raises :class:`~densitylab.model.errors.ModelError` if there is none."""
    from densitylab.model.checkpoint import is_model
    from densitylab.model.errors import ModelError

    folders = [Path(model), Path(model) / "model", shipped("models") / str(model)]
    for folder in folders:
        if is_model(folder):
            return folder
    names = shipped_models()
    known = f"nor the name of one that is shipped ({', '.join(names) or 'none yet'})"
    raise ModelError(f"{model} is neither a folder with a model {known}{did_you_mean(str(model), names)}")


def shipped_models() -> list[str]:
    """Names of the models that come with densitylab."""
    return sorted(file.parent.name for file in shipped("models").glob("*/model.json"))
