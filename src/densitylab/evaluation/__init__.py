"""Predictions against the truth: floor, network and total error, always side by side."""

from densitylab.evaluation.density import Errors, density_errors
from densitylab.evaluation.metrics import summarise

__all__ = ["Errors", "density_errors", "summarise"]
