"""Structures from files (.xyz, .extxyz and whatever else ASE reads)."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import ase.io
from ase import Atoms

from densitylab.structures.check import StructureError, prepare


def from_files(
    paths: str | list[str],
    charge: int | None = None,
    multiplicity: int | None = None,
    group: str | None = None,
) -> list[Atoms]:
    """All frames of the named files, in Å, checked.

    ``charge`` and ``multiplicity`` win over what a frame's own ``info`` says (extended XYZ: ``charge=-1`` on the
    comment line). The default group is the file's stem, so that all frames of one file stay on one side of a split.

    Raises
    ------
    StructureError
        A file that is missing, empty, truncated or unreadable, or a frame that :func:`~densitylab.structures.check`
        refuses; the message names file and frame.
    """
    structures = []
    for path in [paths] if isinstance(paths, str) else paths:
        for number, frame in enumerate(_frames(Path(path))):
            own_group = group or frame.info.get("group", Path(path).stem)
            try:
                structures.append(prepare(frame, charge=charge, multiplicity=multiplicity, group=own_group))
            except StructureError as error:
                raise StructureError(f"{path}, frame {number}: {error}") from None
    return structures


def extended_xyz(structures: list[Atoms]) -> bytes:
    """Structures as an extended XYZ file, ``info`` on the comment lines; :func:`from_files` reads it back."""
    text = io.StringIO()
    ase.io.write(text, structures, format="extxyz")
    return text.getvalue().encode()


def _frames(path: Path) -> list[Atoms]:
    if not path.is_file():
        raise StructureError(f"{path}: no such file")
    try:
        frames = list(ase.io.iread(path, index=":", do_not_split_by_at_sign=True))
    except KeyError as error:  # what ASE raises for a symbol that is no element
        raise StructureError(f"{path}: unknown element or key {error}") from None
    except Exception as error:  # ASE's readers raise whatever their parsers raise
        raise StructureError(f"{path}: not readable as a structure ({type(error).__name__}: {error})") from None
    if not frames:
        raise StructureError(f"{path}: the file has no structures")
    if path.suffix.lower() == ".pdb" and any(frame.pbc.any() for frame in frames):
        # PDB files of single molecules carry a unit cell for form's sake; elsewhere a cell is meant.
        warnings.warn(f"{path}: the unit cell (CRYST1) is dropped", stacklevel=3)
        for frame in frames:
            frame.set_cell(None)
            frame.pbc = False
    return frames
