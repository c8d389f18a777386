"""The physics core: Gaussian expansions of electron densities and what they determine. Atomic units throughout."""

from densitylab.density.basis import BasisError, GaussianBasis, from_basis_set_exchange
from densitylab.density.density import Density
from densitylab.density.nuclei import Nuclei
from densitylab.density.prior import Prior
from densitylab.density.shells import Shells

__all__ = ["BasisError", "Density", "GaussianBasis", "Nuclei", "Prior", "Shells", "from_basis_set_exchange"]
