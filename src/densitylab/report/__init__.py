"""Tables and figures from the ``results.json`` of many runs."""

from densitylab.report.learning_curve import learning_curve

__all__ = ["learning_curve"]
