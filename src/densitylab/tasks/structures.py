"""``task=structures``: make structures and look at them before anything expensive is done with them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from densitylab.build import build
from densitylab.errors import ConfigError
from densitylab.files import write_atomically
from densitylab.outlook import Outlook
from densitylab.report.drawing import draw_sheet
from densitylab.report.table import write_table
from densitylab.structures import electrons
from densitylab.structures.files import extended_xyz

if TYPE_CHECKING:
    from ase import Atoms
    from omegaconf import DictConfig

    from densitylab.runs import Run

_MOST_ROWS = 40
_HEADER = ["number", "formula", "atoms", "charge / e", "multiplicity", "electrons", "group"]


def structures(config: DictConfig, run: Run, shown: int = 12) -> list[dict[str, Any]]:
    """Make the structures of ``config.structures``.

    Leaves ``structures.extxyz``, a picture of up to ``shown`` of them (``structures.png``) and the table that is
    printed (``structures.csv``, ``structures.md``; one row for every composition if there are many).

    Raises
    ------
    StructureError
        Whatever the recipe refuses.
    """
    if shown < 1:
        raise ConfigError(f"task.shown must be at least 1, not {shown}")
    made: list[Atoms] = build(config.structures)
    write_atomically(run.path / "structures.extxyz", extended_xyz(made))
    chosen = choose(made, shown)
    titles = [f"{i}: {made[i].info['group']}\n{_formula(made[i])}" for i in chosen]
    if chosen:
        draw_sheet([made[i] for i in chosen], titles, run.path / "structures.png")
    write_table(*table(made), run.path / "structures", title=f"{len(made)} structures")
    metrics = {"structures": len(made), "atoms": sum(map(len, made))}
    return [{"name": n, "value": v, "unit": "1", "split": "structures", "group": "all"} for n, v in metrics.items()]


def outlook(config: DictConfig) -> Outlook:
    """Nothing is made; see :mod:`densitylab.outlook`."""
    return Outlook([f"structures by {config.structures['_target_'].rsplit('.')[-1]}"])


def choose(made: list[Atoms], number: int) -> list[int]:
    """Indices of at most ``number`` structures, evenly spread."""
    step = max((len(made) - 1) / max(number - 1, 1), 1.0)
    return [round(i * step) for i in range(min(number, len(made)))]


def table(made: list[Atoms]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: one for every structure, or for every composition if there are more than 40 structures."""
    if len(made) <= _MOST_ROWS:
        return _HEADER, [[i, *_facts(atoms), atoms.info["group"]] for i, atoms in enumerate(made)]
    members: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for atoms in made:
        members[_facts(atoms)].append(atoms.info["group"])
    rows = [[len(groups), *facts, f"{len(set(groups))} groups"] for facts, groups in members.items()]
    return ["structures", *_HEADER[1:]], rows


def _facts(atoms: Atoms) -> tuple[Any, ...]:
    info = atoms.info
    return _formula(atoms), len(atoms), info["charge"], info["multiplicity"], electrons(atoms)


def _formula(atoms: Atoms) -> str:
    charge = atoms.info["charge"]
    return atoms.get_chemical_formula() + (f" ({charge:+d})" if charge else "")
