"""Where atoms come from. Every structure is an ``ase.Atoms`` with charge, multiplicity and group in ``info``."""

from densitylab.structures.check import StructureError, check, electrons, prepare

__all__ = ["StructureError", "check", "electrons", "prepare"]
