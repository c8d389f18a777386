"""The published data of Rackers 2023 and Lee 2022: pickled lists of dictionaries of tensors (shared/FACTS.md §1.7).

Per structure ``type`` (A,), ``pos`` (A, 3) in Å, ``coefficients``, ``exponents``, ``norms`` (A, n) with zeros where an
element has fewer functions, ``rs_max`` [(shells, l), …], and mostly ``energy`` (hartree) and ``forces``, which are the
gradient (hartree/bohr). Coefficients are those of the full density ρ, in m = −l … +l.

The public DNA set was made by a script that skipped two lines too many: the coordinates of the first two atoms (O5',
C5') are missing, so everything per atom is shifted by two. Elements and exponents betray it. ``repair="mask"`` puts
every row to its atom, and marks what cannot be trusted in ``info["untrusted_atoms"]``: atoms without a row, and those
within ``REACH_ANGSTROM`` of where atoms are missing, because a network would see them in the wrong surroundings.
Training and evaluation leave them out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from densitylab.density import GaussianBasis
from densitylab.labels.calculation import UNTRUSTED
from densitylab.labels.importers.density import imported
from densitylab.labels.importers.read import Imported, Repair
from densitylab.labels.importers.rows import Row, Shell, coefficients, first_row
from densitylab.labels.importers.unpickle import load_pickle
from densitylab.labels.level import LabelError, Level

REACH_ANGSTROM = 5.0  # beyond it, a missing atom changes a density less than a fit does (Lee 2022: 3.5 Å edges)
_LONGEST_BOND_ANGSTROM = 1.3  # of hydrogen

_NEEDED = ("type", "pos", "coefficients", "exponents", "norms", "rs_max")


def read_published(
    path: Path, level: Level, make_basis: Callable[..., GaussianBasis], repair: Repair, group: str
) -> list[Imported]:
    """All structures of a file. Nothing in the file is executed. Raises :class:`LabelError`, naming file and sample."""
    samples = load_pickle(path)
    if not isinstance(samples, list) or not samples:
        raise LabelError(f"{path}: a list of structures is expected, not {type(samples).__name__} {str(samples)[:40]}")
    found = []
    for number, sample in enumerate(samples):
        try:
            found.append(_structure(sample, level, make_basis, repair, group))
        except (LabelError, ValueError) as error:  # StructureError and BasisError are ValueErrors
            raise LabelError(f"{path}, structure {number}: {error}") from None
    return found


def _structure(
    sample: Any, level: Level, make_basis: Callable[..., GaussianBasis], repair: Repair, group: str
) -> Imported:
    fields = _fields(sample)
    symbols = [chemical_symbols[int(z)] for z in fields["type"]]
    atoms = Atoms(symbols, positions=fields["pos"], info={"group": group})
    rows = _rows(fields)
    shift = first_row(rows, symbols, make_basis(elements=set(symbols)))
    own = rows[shift : shift + len(symbols)]
    if shift and repair != "mask":
        raise LabelError(
            f"the coordinates of its first {shift} atoms are missing, and {len(rows)} rows of functions are shifted "
            f"against {len(symbols)} atoms, as in the public DNA set; task.repair=mask keeps what can be trusted"
        )
    if shift:
        atoms.info[UNTRUSTED] = untrusted(atoms, len(own))
    values = np.concatenate([*map(coefficients, own), *_nothing(symbols[len(own) :], make_basis)])
    forces = np.full((len(symbols), 3), np.nan)
    gradient = fields.get("forces", np.empty((0, 3)))[shift:]
    forces[: len(gradient)] = -gradient[: len(symbols)]
    return imported(atoms, level, make_basis, values, float(fields.get("energy", np.nan)), forces)


def untrusted(atoms: Atoms, labelled: int) -> list[int]:
    """Atoms without a row, and those near a hydrogen that is bonded to nothing: there an atom is missing.

    Raises
    ------
    LabelError
        If no such hydrogen shows where the missing atoms were.
    """
    distances = atoms.get_all_distances() + 10 * np.eye(len(atoms))
    loose = (atoms.numbers == 1) & (distances.min(axis=1) > _LONGEST_BOND_ANGSTROM)
    if not loose.any():
        raise LabelError("nothing shows where the missing atoms were: no hydrogen has lost its bond")
    near = (distances[:, loose] < REACH_ANGSTROM).any(axis=1) | loose
    near[labelled:] = True
    if near.all():
        raise LabelError(f"every atom is within {REACH_ANGSTROM:g} Å of a missing one, so nothing can be kept")
    return [int(index) for index in np.flatnonzero(near)]


def _fields(sample: Any) -> dict[str, Any]:
    """The dictionary of a structure as float64 arrays."""
    missing = [name for name in _NEEDED if not isinstance(sample, dict) or name not in sample]
    if missing:
        raise LabelError(f"no {', '.join(missing)}: not in the format of Rackers 2023")
    arrays = {name: np.asarray(sample[name], dtype=float) for name in sample if name != "rs_max"}
    width = sum(int(n) * (2 * int(l) + 1) for n, l in sample["rs_max"])
    if arrays["pos"].shape != (len(arrays["type"]), 3) or any(arrays[n].shape[1:] != (width,) for n in _NEEDED[2:5]):
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in _NEEDED[:5])
        raise LabelError(f"shapes that do not fit together: {shapes}, {width} columns by rs_max")
    return arrays | {"rs_max": [(int(n), int(l)) for n, l in sample["rs_max"]]}


def _rows(fields: dict[str, Any]) -> list[Row]:
    return [
        _row(fields["rs_max"], *atom)
        for atom in zip(fields["coefficients"], fields["exponents"], fields["norms"], strict=True)
    ]


def _row(blocks: list[tuple[int, int]], values: np.ndarray, exponents: np.ndarray, norms: np.ndarray) -> Row:
    """The shells of one atom; where its norm is zero there is none."""
    shells, column = [], 0
    for number, l in blocks:
        for start in range(column, column + number * (2 * l + 1), 2 * l + 1):
            if norms[start]:
                own = values[start : start + 2 * l + 1]
                shells.append(Shell(l, float(exponents[start]), float(norms[start]), own))
        column += number * (2 * l + 1)
    return shells


def _nothing(symbols: list[str], make_basis: Callable[..., GaussianBasis]) -> list[np.ndarray]:
    """Zeros for atoms without a row."""
    return [np.zeros(make_basis(elements={symbol}).size(symbol)) for symbol in symbols]
