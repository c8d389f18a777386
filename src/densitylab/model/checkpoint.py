"""What is shared with others: ``model.safetensors`` and ``model.json``, plain data, never code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from densitylab.dataset.familiarity import Familiar
from densitylab.dataset.statistics import Statistics
from densitylab.density import GaussianBasis, Prior
from densitylab.files import write_atomically
from densitylab.model.errors import ModelError

FORMAT = 2
READABLE = (1, 2)  # 1 does not say what the network was trained on
_DESCRIPTION = "model.json"  # is written last


@dataclass(frozen=True)
class TrainedModel:
    """A network with the representation it predicts: coefficients in ``basis`` of the difference to ``prior``.

    ``cutoff`` is in Å; ``familiar`` is what it was trained on, None if its file does not say.
    """

    network: nn.Module
    basis: GaussianBasis
    prior: Prior
    cutoff: float
    familiar: Familiar | None = None


def save_model(
    folder: Path,
    network: nn.Module,
    options: Mapping[str, Any],
    basis: GaussianBasis,
    prior: Prior,
    statistics: Statistics,
    familiar: Familiar | None = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, buffers, and all that is needed to build the same network again.

    ``options`` and ``origin`` (where it comes from: hash of the training data, level of theory, versions of programs)
    are plain data.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "options": options,
        "basis": basis.describe(),
        "prior": prior.describe(),
        "neighbours": statistics.neighbours,
        "units": {"positions": "Å", "cutoff": "Å", "exponents": "bohr^-2", "coefficients": "e^1 bohr^-1.5"},
        "familiar": familiar.describe() if familiar else None,
        "origin": dict(origin or {}),
    }
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_atomically(folder / "model.safetensors", save(weights))
    write_atomically(folder / _DESCRIPTION, json.dumps(description, indent=1) + "\n")


def is_model(folder: Path) -> bool:
    """Whether a network has been saved there, completely."""
    return (folder / _DESCRIPTION).is_file()


def load_model(folder: Path, build: Callable[..., nn.Module]) -> TrainedModel:
    """Read what :func:`save_model` wrote; ``build`` makes the network from its options (``densitylab.build.build``).

    Raises
    ------
    ModelError
        A missing file, another format, or weights that do not fit the network.
    """
    description = _description(folder)
    try:
        options, basis = _trusted(description["options"]), GaussianBasis.from_description(description["basis"])
        prior = Prior.from_description(description["prior"])
        shapes = Statistics.placeholder(basis, description["neighbours"])  # the values are buffers of the weights file
        network, cutoff = build(options, basis=basis, statistics=shapes), options["cutoff"]
        familiar = Familiar.from_description(known) if (known := description.get("familiar")) else None
    except KeyError as error:
        raise ModelError(f"{folder / _DESCRIPTION} lacks {error}") from None
    except (ValueError, TypeError) as error:  # a target that is refused or gone, options of another version
        raise ModelError(f"{folder / _DESCRIPTION}: {error}") from None
    _load_weights(folder, network)
    return TrainedModel(network, basis, prior, cutoff, familiar)


def _trusted(options: dict[str, Any]) -> dict[str, Any]:
    """Options that can only build a network: a class of our own, from plain values. The file may be a stranger's."""
    target = options.get("_target_")
    ours = target is None or re.fullmatch(r"densitylab\.model(\.[a-z]\w*)*\.[A-Z]\w*", str(target))
    if not ours or _names_targets(list(options.values())):
        raise ValueError("its options name something else than a network of densitylab's")
    return options


def _names_targets(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or _names_targets(list(value.values()))
    return isinstance(value, list) and any(_names_targets(item) for item in value)


def _load_weights(folder: Path, network: nn.Module) -> None:
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except Exception as error:  # safetensors and torch have untyped errors for every damage
        first = str(error).strip().splitlines()[0].rstrip(":")
        raise ModelError(f"{folder / 'model.safetensors'} does not fit the network: {first}") from None


def _description(folder: Path) -> dict[str, Any]:
    file = folder / _DESCRIPTION
    if not file.is_file():
        raise ModelError(f"{folder} holds no model (no {_DESCRIPTION})")
    try:
        description: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise ModelError(f"{file}: not readable ({error})") from None
    if not isinstance(description, dict):
        raise ModelError(f"{file}: not a description of a model")
    if description.get("format") not in READABLE:
        raise ModelError(
            f"{file} has format {description.get('format')}; this densitylab reads {' and '.join(map(str, READABLE))}"
        )
    return description
