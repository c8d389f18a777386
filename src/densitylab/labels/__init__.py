"""Quantum chemistry: calculations, fits of their densities, and the store that keeps both."""

from densitylab.labels.calculation import Calculation
from densitylab.labels.fit import Fit, FitSettings, fit_density
from densitylab.labels.level import LabelError, Level
from densitylab.labels.record_file import StoreError
from densitylab.labels.scf import calculate
from densitylab.labels.store import Store

__all__ = [
    "Calculation",
    "Fit",
    "FitSettings",
    "LabelError",
    "Level",
    "Store",
    "StoreError",
    "calculate",
    "fit_density",
]
