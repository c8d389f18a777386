"""Contracted orbital functions as qc-iodata reads them, in terms of our own shells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms

from densitylab.density import Shells
from densitylab.density.integrals import overlap
from densitylab.labels.level import LabelError
from densitylab.units import ANGSTROM_TO_BOHR

_LETTERS = "SPDFGHI"


@dataclass(frozen=True)
class Contraction:
    """2l + 1 functions of one atom, sums over L2-normalised Gaussians.

    ``components`` are (m, sign) of every function in the file's order: sign = −1 where a program has turned it round.
    """

    atom: int
    l: int
    exponents: np.ndarray
    coefficients: np.ndarray
    components: tuple[tuple[int, int], ...]

    def same_as(self, other: Contraction) -> bool:
        """Whether two atoms of an element have this function in common."""
        if self.l != other.l or len(self.exponents) != len(other.exponents):
            return False
        return np.allclose(self.exponents, other.exponents, rtol=1e-6) and np.allclose(
            self.coefficients, other.coefficients, rtol=1e-5, atol=1e-9
        )


def contractions(basis: Any) -> list[Contraction]:
    """The functions of an ``iodata`` basis, general contractions taken apart. Raises :class:`LabelError`."""
    found = []
    for shell in basis.shells:
        for l, kind, coefficients in zip(shell.angmoms, shell.kinds, shell.coeffs.T, strict=True):
            l = int(l)
            if kind == "c" and l > 1:
                raise LabelError(
                    f"Cartesian {_LETTERS[l].lower()} functions are not supported: run with pure ones (5D 7F 9G)"
                )
            if l >= len(_LETTERS):
                raise LabelError(f"functions of l = {l} are not supported (at most {len(_LETTERS) - 1})")
            names = basis.conventions[l, str(kind)]
            own = tuple(_component(name) for name in names)
            found.append(Contraction(int(shell.icenter), l, shell.exponents, coefficients, own))
    return found


def shells_of(functions: Sequence[Contraction], atoms: Atoms) -> tuple[Shells, np.ndarray]:
    """The primitive shells of all functions, and (AO, F): every function as a sum over theirs, m = −l … +l."""
    positions = atoms.positions * ANGSTROM_TO_BOHR
    counts = [len(function.exponents) for function in functions]
    shells = Shells(
        torch.as_tensor(np.repeat(positions[[function.atom for function in functions]], counts, axis=0)),
        torch.as_tensor(np.concatenate([function.exponents for function in functions])),
        torch.as_tensor(np.repeat([function.l for function in functions], counts)),
    )
    sums = np.zeros((sum(2 * function.l + 1 for function in functions), shells.size))
    row = column = 0
    for function in functions:
        width = 2 * function.l + 1
        for m, sign in function.components:
            columns = column + m + function.l + width * np.arange(len(function.exponents))
            sums[row, columns] = sign * function.coefficients
            row += 1
        column += width * len(function.exponents)
    return shells, sums


def overlap_of(functions: Sequence[Contraction], atoms: Atoms) -> np.ndarray:
    """(AO, AO) overlap of the functions in the file's order."""
    shells, sums = shells_of(functions, atoms)
    return np.asarray(sums @ overlap(shells).numpy() @ sums.T)


def as_text(molecules: Sequence[tuple[Atoms, Sequence[Contraction]]]) -> str:
    """The functions of all elements in NWChem's format, which PySCF reads.

    Raises
    ------
    LabelError
        If two atoms of one element have different functions.
    """
    known: dict[str, list[Contraction]] = {}
    for atoms, functions in molecules:
        for index, symbol in enumerate(atoms.symbols):
            own = sorted((f for f in functions if f.atom == index), key=lambda f: f.l)
            first = known.setdefault(symbol, own)
            if len(first) != len(own) or not all(a.same_as(b) for a, b in zip(first, own, strict=True)):
                raise LabelError(f"two {symbol} atoms have different functions, which no level can name")
    blocks = ("\n".join(_block(symbol, function) for function in known[symbol]) for symbol in sorted(known))
    return "".join(f"#BASIS SET:\n{block}\n" for block in blocks)  # the line at which PySCF begins a new element


def _block(symbol: str, function: Contraction) -> str:
    pairs = zip(function.exponents.tolist(), function.coefficients.tolist(), strict=True)
    lines = [f"    {exponent!r}  {coefficient!r}" for exponent, coefficient in pairs]
    return "\n".join([f"{symbol}    {_LETTERS[function.l]}", *lines])


def _component(name: str) -> tuple[int, int]:
    """(m, sign) of a function by iodata's name: 1, x, y, z, or c0, c1, s1, c2 …, with a minus if it is turned round."""
    plain, sign = name.lstrip("-"), -1 if name.startswith("-") else 1
    fixed = {"1": 0, "z": 0, "x": 1, "y": -1}
    m = fixed[plain] if plain in fixed else int(plain[1:]) * (1 if plain[0] == "c" else -1)
    return m, sign
