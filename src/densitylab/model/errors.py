"""The error of a network that cannot be built."""


class ModelError(ValueError):
    """A network whose parts do not fit together, or cannot produce what is asked of it."""
