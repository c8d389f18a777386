"""``GaussianBasis``: which uncontracted shells an element has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from densitylab.density.shells import Shells
from densitylab.units import ANGSTROM_TO_BOHR

if TYPE_CHECKING:
    from ase import Atoms
    from e3nn.o3 import Irreps

LETTERS = "spdfghi"  # of l


class BasisError(ValueError):
    """A basis set that does not exist, or that lacks an element."""


@dataclass(frozen=True)
class GaussianBasis:
    """Uncontracted, L2-normalised shells per element.

    Attributes
    ----------
    name: what it is called in tables; the content decides identity, not the name.
    elements: symbol → ((l, exponent in bohr⁻²), …), kept with l ascending and exponents descending.
    """

    name: str
    elements: Mapping[str, tuple[tuple[int, float], ...]]

    def __post_init__(self) -> None:
        ordered = {
            symbol: tuple(sorted({(int(l), float(a)) for l, a in shells}, key=lambda s: (s[0], -s[1])))
            for symbol, shells in sorted(self.elements.items())
        }
        object.__setattr__(self, "elements", ordered)

    @cached_property
    def hash(self) -> str:
        """Content hash: the same shells give the same hash under any name."""
        return hashlib.sha256(json.dumps(dict(self.elements), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def symbols(self) -> list[str]:
        """Elements, by atomic number."""
        from ase.data import atomic_numbers

        return sorted(self.elements, key=lambda symbol: atomic_numbers[symbol])

    def of(self, symbol: str) -> tuple[tuple[int, float], ...]:
        """Shells (l, exponent) of an element. Raises :class:`BasisError` if the basis lacks it."""
        if symbol not in self.elements:
            raise BasisError(f"basis {self.name} has no functions for {symbol} (it has {', '.join(self.elements)})")
        return self.elements[symbol]

    def size(self, symbol: str) -> int:
        """Number of functions of an element."""
        return sum(2 * l + 1 for l, _ in self.of(symbol))

    @property
    def lmax(self) -> int:
        """Largest l of any element."""
        return max(l for shells in self.elements.values() for l, _ in shells)

    def irreps(self, symbol: str) -> Irreps:
        """Irreps of an element's coefficients, in their order, e.g. ``9x0e+7x1o+6x2e+4x3o+2x4e``."""
        from e3nn.o3 import Irreps

        return Irreps([(1, (l, (-1) ** l)) for l, _ in self.of(symbol)]).simplify()

    def shells(self, atoms: Atoms, dtype: torch.dtype = torch.float64) -> Shells:
        """The functions of a structure (Å → bohr), atom by atom."""
        per_atom = [self.of(symbol) for symbol in atoms.symbols]
        counts = torch.tensor([len(shells) for shells in per_atom])
        positions = torch.as_tensor(atoms.positions * ANGSTROM_TO_BOHR, dtype=dtype)
        return Shells(
            torch.repeat_interleave(positions, counts, dim=0),
            torch.tensor([alpha for shells in per_atom for _, alpha in shells], dtype=dtype),
            torch.tensor([l for shells in per_atom for l, _ in shells], dtype=torch.long),
        )

    def describe(self) -> dict[str, Any]:
        """Plain data that :meth:`from_description` reads back (records, checkpoints)."""
        return {
            "name": self.name,
            "elements": {s: [list(x) for x in shells] for s, shells in self.elements.items()},
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> GaussianBasis:
        """Inverse of :meth:`describe`."""
        return cls(description["name"], {s: tuple(map(tuple, x)) for s, x in description["elements"].items()})


def from_basis_set_exchange(name: str, elements: Iterable[str]) -> GaussianBasis:
    """A published set, decontracted: every distinct (l, exponent) once.

    ``name`` as on the Basis Set Exchange, e.g. ``aug-cc-pVTZ-RIFIT``; ``elements`` are symbols. Raises
    :class:`BasisError` if there is no such set or it lacks an element.
    """
    import basis_set_exchange as bse

    symbols = sorted(set(elements))
    try:
        data = bse.get_basis(name, elements=symbols)["elements"]
    except KeyError as error:
        raise BasisError(f"basis set {name} for {', '.join(symbols)}: {error.args[0]}") from None
    number = {symbol: bse.lut.element_Z_from_sym(symbol) for symbol in symbols}
    return GaussianBasis(
        name, {symbol: tuple(_primitives(data[str(number[symbol])]["electron_shells"])) for symbol in symbols}
    )


def from_shells(name: str, shells: Mapping[str, Mapping[str, list[float]]], elements: Iterable[str]) -> GaussianBasis:
    """A basis written out: symbol → letter of the shell (``s p d f g h i``) → exponents in bohr⁻².

    Raises :class:`BasisError` for an element or letter that is not there.
    """
    chosen = {}
    for symbol in sorted(set(elements)):
        if symbol not in shells:
            raise BasisError(f"basis {name} has no functions for {symbol} (it has {', '.join(shells)})")
        unknown = set(shells[symbol]) - set(LETTERS)
        if unknown:
            raise BasisError(f"basis {name}, {symbol}: unknown shell {unknown.pop()!r} (known: {', '.join(LETTERS)})")
        chosen[symbol] = tuple((LETTERS.index(x), a) for x, exponents in shells[symbol].items() for a in exponents)
    return GaussianBasis(name, chosen)


def from_file(path: str, elements: Iterable[str] | None = None) -> GaussianBasis:
    """A basis from a file: ``.yaml`` as ``task=design_basis`` writes it, or any format the Basis Set Exchange reads
    (``.gbs``, ``.nw`` …), decontracted; for ``elements``, or all that it has.

    Raises :class:`BasisError` if the file is missing, damaged, or lacks an element.
    """
    import basis_set_exchange as bse
    import yaml

    file, symbols = Path(path), None if elements is None else sorted(set(elements))
    if not file.is_file():
        raise BasisError(f"basis file {file} does not exist")
    try:
        if file.suffix in (".yaml", ".yml"):
            content = yaml.safe_load(file.read_text())
            return from_shells(content["name"], content["shells"], content["shells"] if symbols is None else symbols)
        data = bse.read_formatted_basis_file(str(file))["elements"].items()
        known = {bse.lut.element_sym_from_Z(z, normalize=True): own["electron_shells"] for z, own in data}
        shells = {symbol: known[symbol] for symbol in (known if symbols is None else symbols)}
    except BasisError:
        raise
    except Exception as error:  # every format has its own way to complain
        raise BasisError(f"basis file {file} cannot be read, or lacks an element: {error}") from None
    return GaussianBasis(file.stem, {symbol: tuple(_primitives(own)) for symbol, own in shells.items()})


def even_tempered(orbital_basis: str, elements: Iterable[str], beta: float) -> GaussianBasis:
    """Auxiliary functions, exponents in ratio ``beta``, that span the products of an orbital basis (PySCF's rule)."""
    from pyscf import df, gto

    shells = {}
    for symbol in sorted(set(elements)):
        atom = gto.M(atom=f"{symbol} 0 0 0", basis=orbital_basis, spin=None)
        table = df.aug_etb(atom, beta=beta)[symbol]
        shells[symbol] = tuple((int(shell[0]), float(row[0])) for shell in table for row in shell[1:])
    return GaussianBasis(f"even-tempered({orbital_basis}, beta={beta:g})", shells)


def _primitives(electron_shells: list[dict[str, Any]]) -> set[tuple[int, float]]:
    return {
        (l, float(exponent))
        for shell in electron_shells
        for l in shell["angular_momentum"]
        for exponent in shell["exponents"]
    }
