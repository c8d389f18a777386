"""Where Hydra looks for launchers: in this namespace and nowhere else. They are written in densitylab.launchers."""

from __future__ import annotations

from densitylab.launchers.joblib import JoblibLauncher
from densitylab.launchers.ray import RayLauncher
from densitylab.launchers.submitit import SubmititLauncher


class Joblib(JoblibLauncher):
    """``hydra/launcher=joblib``."""


class Ray(RayLauncher):
    """``hydra/launcher=ray``."""


class Submitit(SubmititLauncher):
    """``hydra/launcher=submitit``."""
