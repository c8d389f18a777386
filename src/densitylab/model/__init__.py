"""E(3)-equivariant networks: a backbone that makes features, heads that read quantities off them."""

from densitylab.model.network import DensityNetwork

__all__ = ["DensityNetwork"]
