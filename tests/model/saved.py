"""A network with random weights, in a folder as training leaves it: it predicts nonsense, of the right kind."""

from pathlib import Path

import torch

from densitylab.build import build
from densitylab.dataset.familiarity import Familiar
from densitylab.density import Prior
from densitylab.model.checkpoint import save_model
from tests.labels.calculations import toy_prior
from tests.model.suite import BASIS, CUTOFF, statistics, waters

OPTIONS = {
    "_target_": "densitylab.model.network.DensityNetwork", "lmax": 1, "channels": 4, "layers": 1, "cutoff": CUTOFF,
    "dtype": "float64",
}  # fmt: skip


def save_random_model(folder: Path, prior: Prior | None = None, familiar: Familiar | None = None) -> Path:
    torch.manual_seed(0)
    network = build(OPTIONS, basis=BASIS, statistics=statistics())
    known = familiar or Familiar.of([waters(1), waters(3)])
    save_model(folder, network, OPTIONS, BASIS, prior or toy_prior(), statistics(), known, {"level": "none"})
    return folder
