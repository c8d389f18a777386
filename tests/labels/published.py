"""Files exactly as Rackers' script writes them, from our own fits. The only test module that writes pickles."""

from pathlib import Path
from pickle import dumps
from typing import Any

import numpy as np
import torch
from ase import Atoms

from densitylab.density import GaussianBasis
from densitylab.density.conventions import standard_from
from densitylab.density.shells import norm

# Signs of psi4's norms in the decontracted set (shared/FACTS.md §1.1): O s 4.807, p 64.3 and 16.3, all d, g.
NEGATIVE = {"O": [(0, 4.8070437), (1, 64.2613382), (1, 16.3006076), (2, None), (4, None)]}


def signed_norm(symbol: str, l: int, exponent: float) -> float:
    """psi4's norm: of S_lm exp(−αr²) with S_lm = √(4π/(2l+1)) r^l Y_lm."""
    size = float(norm(l, torch.tensor(exponent, dtype=torch.float64))) * np.sqrt((2 * l + 1) / (4 * np.pi))
    negative = any(l == k and a in (None, exponent) for k, a in NEGATIVE.get(symbol, []))
    return -size if negative else size


def blocks(atoms: Atoms, basis: GaussianBasis, coefficients: np.ndarray) -> list[list[tuple[int, float, float, Any]]]:
    """Per atom (l, exponent, signed norm, stored coefficients in m = −l … +l)."""
    found, at = [], 0
    for symbol in atoms.symbols:
        found.append([])
        for l, exponent in basis.of(symbol):
            sign = signed_norm(symbol, l, exponent)
            found[-1].append((l, exponent, sign, np.sign(sign) * coefficients[at : at + 2 * l + 1]))
            at += 2 * l + 1
    return found


def sample(
    atoms: Atoms, basis: GaussianBasis, coefficients: np.ndarray, energy: float | None = None, forces: Any = None
) -> dict[str, Any]:
    """One structure as a dictionary of float32 tensors; ``forces`` are written as the gradient."""
    per_atom = blocks(atoms, basis, coefficients)
    most = max(l for row in per_atom for l, *_ in row)
    rs_max = [(max(sum(k == l for k, *_ in row) for row in per_atom), l) for l in range(most + 1)]
    width = sum(n * (2 * l + 1) for n, l in rs_max)
    arrays = {name: torch.zeros(len(atoms), width) for name in ("coefficients", "exponents", "norms")}
    for index, row in enumerate(per_atom):
        column = 0
        for n, l in rs_max:
            own = [shell for shell in row if shell[0] == l]
            for place, (_, exponent, sign, values) in enumerate(own):
                where = slice(column + place * (2 * l + 1), column + (place + 1) * (2 * l + 1))
                arrays["coefficients"][index, where] = torch.tensor(values, dtype=torch.float32)
                arrays["exponents"][index, where] = exponent
                arrays["norms"][index, where] = sign
            column += n * (2 * l + 1)
    kinds = sorted(set(atoms.numbers))
    more = {} if energy is None else {"energy": torch.tensor(energy), "forces": torch.Tensor(-np.asarray(forces))}
    return {
        "type": torch.Tensor(atoms.numbers.astype(float)),
        "pos": torch.Tensor(atoms.positions),
        "onehot": torch.Tensor([[float(z == kind) for kind in kinds] for z in atoms.numbers]),
        **arrays,
        "rs_max": rs_max,
        **more,
    }


def without_two_atoms(whole: dict[str, Any]) -> dict[str, Any]:
    """The defect of the public DNA set: coordinates skip two atoms, the gradient stops two early."""
    shifted = dict(whole)
    for name in ("type", "pos", "onehot"):
        shifted[name] = whole[name][2:]
    shifted["forces"] = whole["forces"][:-2]
    return shifted


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(dumps(content, protocol=protocol))
    return path


def text(atoms: Atoms, basis: GaussianBasis, coefficients: np.ndarray) -> str:
    """The density text of psi4: m runs 0, +1, −1 …, eight decimals."""
    lines = []
    for index, row in enumerate(blocks(atoms, basis, coefficients)):
        lines += [f"Atom number: {index} ", f"number of functions: {sum(len(values) for *_, values in row)} "]
        for l, exponent, sign, values in row:
            order = np.argsort(standard_from("psi4", l))  # the place of psi4's functions in ours, turned round
            lines += [f"{l} {values[i]:.8f} {exponent} {sign}" for i in order]
    return "\n".join(lines) + "\n"
