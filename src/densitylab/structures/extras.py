"""Libraries that only some recipes need."""

from __future__ import annotations

import importlib
from typing import Any

from densitylab.structures.check import StructureError


def extra(module: str, name: str) -> Any:
    """Import a module that ``pip install 'densitylab[name]'`` brings.

    Raises
    ------
    StructureError
        It is not installed; the sentence says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        advice = f"pip install 'densitylab[{name}]'"
        raise StructureError(f"{package} is needed here and cannot be imported ({error}): {advice}") from None
