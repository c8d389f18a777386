"""The only room that knows how a tensor product is computed.

``convolution(paths)`` gives a module ``(x, harmonics, weights, edge_index) → out``; features are *channels last*:
(atoms, Σ(2l + 1), channels), l ascending, m = −l … +l in e3nn's convention.
"""

from densitylab.model.kernels.convolution import Convolution, convolution
from densitylab.model.kernels.paths import Paths, natural_paths

__all__ = ["Convolution", "Paths", "convolution", "natural_paths"]
