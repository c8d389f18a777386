"""densitylab: learn the electron density once, then read everything it determines.

Importing this package loads nothing heavy: torch, e3nn and PySCF come with the rooms that need them.
"""

from typing import Any

__version__ = "0.1.0"

__all__ = ["Calculator", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """``load`` and ``Calculator``, when they are asked for."""
    if name == "load":
        from densitylab.loading import load

        return load
    if name == "Calculator":
        from densitylab.simulation.calculator import Calculator

        return Calculator
    raise AttributeError(f"module 'densitylab' has no attribute {name!r}")
