"""Coefficients predicted by a network, one structure at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densitylab.dataset.graph import Graph


def predict_coefficients(model: nn.Module, graph: Graph) -> Tensor:
    """(F,) coefficients of Δρ, float64, on the CPU."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        coefficients: Tensor = model(graph.clone().to(device)).cpu()
    model.train(training)
    return coefficients
