"""The density texts of Rackers' psi4 script: per atom a header and lines ``l coefficient exponent norm``.

m runs as psi4 has it, 0, +1, −1 …; there are no coordinates, which stand in the structure file that psi4 was given.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from densitylab.density import GaussianBasis
from densitylab.density.conventions import standard_from
from densitylab.labels.importers.density import imported
from densitylab.labels.importers.read import Imported
from densitylab.labels.importers.rows import Row, Shell, coefficients, first_row
from densitylab.labels.level import LabelError, Level


def read_text(
    path: Path, geometry: Path | None, level: Level, make_basis: Callable[..., GaussianBasis], group: str
) -> Imported:
    """One density. Energy and forces are unknown. Raises :class:`LabelError`, naming the file."""
    atoms = _atoms(path, geometry)
    try:
        rows = [_row(block) for block in _blocks(path)]
        shift = first_row(rows, list(atoms.symbols), make_basis(elements=set(atoms.symbols)))
        if shift or len(rows) != len(atoms):
            raise LabelError(f"{len(rows)} rows of functions for {len(atoms)} atoms")
        atoms.info = {"group": group}
        values = np.concatenate([coefficients(row) for row in rows])
        return imported(atoms, level, make_basis, values, np.nan, np.full((len(atoms), 3), np.nan))
    except (LabelError, ValueError) as error:
        raise LabelError(f"{path}: {error}") from None


def _atoms(path: Path, geometry: Path | None) -> Atoms:
    """The structure: as named, or beside the text as the script leaves it (w4_00, w4_00_BASIS_density.out)."""
    stem = path.with_name("_".join(path.name.split("_")[:2]))
    for file in [geometry] if geometry else [stem, stem.with_name(f"{stem.name}.xyz")]:
        if file.is_file() and file != path:
            try:
                (atoms,) = ase.io.iread(file, format="xyz")
            except Exception as error:  # ASE's readers raise whatever their parsers raise
                raise LabelError(f"{file}: not readable as xyz ({error})") from None
            return Atoms(atoms.symbols, positions=atoms.positions)
    raise LabelError(f"{path} has no coordinates; name the file of its structure: task.geometry=my.xyz")


def _blocks(path: Path) -> list[list[str]]:
    """The lines of every atom."""
    blocks: list[list[str]] = []
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("Atom number"):
            blocks.append([])
        elif blocks and line.strip():
            blocks[-1].append(line)
    if not blocks:
        raise LabelError("not a psi4 density text: no line begins with 'Atom number'")
    return blocks


def _row(block: list[str]) -> Row:
    try:
        number = int(block[0].split()[3])
        table = np.array([[float(word) for word in line.split()] for line in block[1:]])
    except (IndexError, ValueError):
        raise LabelError(f"not readable near '{' | '.join(block[:2])}'") from None
    if table.shape != (number, 4):
        raise LabelError(f"truncated: {len(table)} of {number} functions of an atom")
    shells = []
    for (l, exponent, norm), lines in groupby(table.tolist(), key=lambda line: (int(line[0]), line[2], line[3])):
        values = np.array([line[1] for line in lines])
        if len(values) != 2 * l + 1:
            raise LabelError(f"{len(values)} functions of l = {l} with exponent {exponent:g}")
        shells.append(Shell(l, exponent, norm, values[standard_from("psi4", l)]))
    return shells
