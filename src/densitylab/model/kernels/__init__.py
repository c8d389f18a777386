"""The only room that knows how a tensor product is computed.

``Convolution(paths, channels)`` maps ``(x, harmonics, weights, edge_index)`` to ``out``; features are *channels last*:
(atoms, Σ(2l + 1), channels), l ascending, m = −l … +l in e3nn's convention.
"""

from densitylab.model.kernels.convolution import Convolution
from densitylab.model.kernels.paths import Paths

__all__ = ["Convolution", "Paths"]
