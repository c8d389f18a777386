"""From a file to checked records, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from densitylab.density import GaussianBasis
from densitylab.labels.calculation import Calculation
from densitylab.labels.level import LabelError, Level

Format = Literal["pickle", "psi4", "molden", "fchk"]
Repair = Literal["refuse", "mask"]
FORMATS: tuple[str, ...] = get_args(Format)
_SUFFIXES: dict[str, Format] = {
    ".pkl": "pickle", ".pickle": "pickle", ".out": "psi4", ".molden": "molden", ".input": "molden",
    ".fchk": "fchk", ".fch": "fchk",
}  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """A calculation, and the coefficients (F,) of its full density if the file has no orbitals to fit them from."""

    calculation: Calculation
    coefficients: np.ndarray | None = None


def read(
    paths: Sequence[Path], format: Format | None, level: Level, make_basis: Callable[..., GaussianBasis],
    repair: Repair = "refuse", geometry: Path | None = None, group: str | None = None,
) -> list[Imported]:  # fmt: skip
    """Records of some files at one level.

    Parameters
    ----------
    format: by the suffix of the file if ``None``.
    level: as the user describes it. Orbitals whose functions are not those of ``level.basis`` get their own functions
        as the basis of their level, as text: the same for all files.
    make_basis: of the density, for files that hold coefficients instead of orbitals; they must be in this basis.
    repair: what to do about the two atoms that the public DNA set lacks; see :mod:`.published`.
    geometry: structure that belongs to a psi4 density text, which has none.
    group: of all structures; else the stem of each file.

    Raises
    ------
    LabelError, StructureError, BasisError
        One sentence that names the file and what is wrong with it.
    """
    from densitylab.labels.importers.project import calculations
    from densitylab.labels.importers.psi4_text import read_text
    from densitylab.labels.importers.published import read_published
    from densitylab.labels.importers.wavefunction import read_wavefunction

    found: list[Imported] = []
    waves = []
    for path in paths:
        _require_content(path)
        kind, name = format or _by_suffix(path), group or path.name.split(".")[0]
        if kind == "pickle":
            found += read_published(path, level, make_basis, repair, name)
        elif kind == "psi4":
            found.append(read_text(path, geometry, level, make_basis, name))
        else:
            waves.append(read_wavefunction(path, kind, level, name))
    return found + [Imported(calculation) for calculation in calculations(waves, level)]


def _require_content(path: Path) -> None:
    if not path.is_file():
        raise LabelError(f"{path}: no such file")
    if not path.stat().st_size:
        raise LabelError(f"{path}: the file is empty")


def _by_suffix(path: Path) -> Format:
    if path.suffix.lower() not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise LabelError(f"{path}: unknown format; name it ({', '.join(FORMATS)}) or rename the file ({known})")
    return _SUFFIXES[path.suffix.lower()]
