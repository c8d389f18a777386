"""densitylab: learn the electron density once, then read everything it determines.

Importing this package loads nothing heavy: torch, e3nn and PySCF come with the rooms that need them.
"""

__version__ = "0.1.0"
