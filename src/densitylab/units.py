"""The one set of physical constants (CODATA 2022) and the only place where a conversion factor stands.

Ångström and eV wherever densitylab meets ASE; atomic units (bohr, hartree, e) inside ``density`` and ``labels``.
Multiply by ``X_TO_Y`` to go from X to Y.
"""

BOHR_TO_ANGSTROM = 0.529177210544
ANGSTROM_TO_BOHR = 1.0 / BOHR_TO_ANGSTROM
HARTREE_TO_EV = 27.211386245981
HARTREE_TO_KCAL_PER_MOL = 627.5094740631
HARTREE_PER_BOHR_TO_EV_PER_ANGSTROM = HARTREE_TO_EV / BOHR_TO_ANGSTROM
EBOHR_TO_DEBYE = 2.541746473
# ASE's unit of time is Å (u/eV)^1/2, from the atomic mass constant (kg) and the electronvolt (J).
FEMTOSECOND_TO_ASE_TIME = 1e-15 / (1e-10 * (1.66053906892e-27 / 1.602176634e-19) ** 0.5)
