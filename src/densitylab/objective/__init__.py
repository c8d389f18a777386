"""What is predicted, in which metric the error is measured, what is logged."""

from densitylab.objective.density import DensityObjective

__all__ = ["DensityObjective"]
