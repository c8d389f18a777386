"""``task=design_basis``: a density basis with the lowest floor for its number of functions."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from densitylab.build import build
from densitylab.errors import ConfigError
from densitylab.outlook import Outlook
from densitylab.tasks.parts import label_source, quiet

if TYPE_CHECKING:
    from ase import Atoms
    from omegaconf import DictConfig

    from densitylab.dataset import DensityDataModule
    from densitylab.density import GaussianBasis
    from densitylab.labels import Calculation
    from densitylab.runs import Run


def design_basis(
    config: DictConfig, run: Run, functions: int, formula: str = "H2O", samples: int = 6, largest_atoms: int = 9,
    held_out: int = 3, steps: int = 120, tempered: bool = False, fixed: str | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Prune and optimise ``config.basis`` to at most ``functions`` functions per ``formula``.

    ``fixed``: a file (``.yaml``) of a basis whose elements take the place of those of ``config.basis`` and stay.

    Leaves ``basis_N.yaml`` for every number of functions N on the way (use one with ``basis=file basis.path=…``), and
    their floors, on the structures that were designed on and on held-out ones, as a table and a figure.

    Raises
    ------
    ConfigError
        If no structure is small enough, the labels lack an element of the formula, or ``fixed`` leaves nothing to do.
    """
    from ase import Atoms

    from densitylab.evaluation.metrics import metric
    from densitylab.labels.design import design, size
    from densitylab.labels.fit import fit_density
    from densitylab.labels.floor import floor, sample
    from densitylab.report.floors import write_floors

    data = _data(config)
    source, molecule = data.source, Atoms(formula)
    start, kept = _start(source.basis, fixed, molecule, functions)
    rows: list[list[Any]] = []
    given = [sample(each, source.prior) for each in _smallest(data, ["train"], samples, largest_atoms)]
    apart = _smallest(data, ["validation", "test"], held_out)

    def record(basis: GaussianBasis) -> None:
        own = fmean(float(floor(basis.shells(each.atoms), each)) for each in given)
        fits = [fit_density(each, basis, source.prior, source.fit).residuals for each in apart]
        rows.append([size(basis, molecule), own, fmean(fit["epsilon_floor_percent"] for fit in fits)])
        _write(run, basis, rows[-1][0])
        print(f"{rows[-1][0]} functions per {formula}: floor {own:.3f} %, held out {rows[-1][2]:.3f} %", flush=True)

    design(start, given, molecule, functions, steps, tempered, kept, record)
    write_floors(rows, formula, run.path / "floors")
    return [metric("epsilon_floor", row[2], "%", "held out", f"{row[0]} functions") for row in rows]


def outlook(config: DictConfig) -> Outlook:
    """Count the structures to design on; see :mod:`densitylab.outlook`."""
    from ase import Atoms

    data, task = _data(config), config.task
    _start(data.source.basis, task.fixed, Atoms(task.formula), task.functions)
    return Outlook([f"{name} {len(keys)} structures" for name, keys in data.keys.items() if keys])


def _data(config: DictConfig) -> DensityDataModule:
    """The structures of the dataset. Raises :class:`ConfigError` if they lack an element of the formula."""
    from ase import Atoms

    quiet()
    data: DensityDataModule = build(config.dataset, source=label_source(config))
    asked, known = set(Atoms(config.task.formula).symbols), set(data.source.elements or ())
    if not asked <= known:
        raise ConfigError(f"task.formula={config.task.formula}: the labels have {', '.join(sorted(known))} only")
    return data


def _start(
    basis: GaussianBasis, fixed: str | None, molecule: Atoms, functions: int
) -> tuple[GaussianBasis, frozenset[str]]:
    """The basis to begin with, and the elements that are fixed in it."""
    from densitylab.density.basis import from_file

    if fixed is None:
        return basis, frozenset()
    known = from_file(fixed)
    kept = frozenset(known.elements) & frozenset(basis.elements)
    if kept == set(basis.elements):
        raise ConfigError(f"task.fixed={fixed} has all elements of the labels: nothing is left to design")
    own = sum(known.size(symbol) for symbol in molecule.symbols if symbol in kept)
    if own >= functions:
        raise ConfigError(f"task.functions={functions}: the fixed elements alone have {own} in {molecule.symbols}")
    return replace(basis, elements={**basis.elements, **{symbol: known.of(symbol) for symbol in kept}}), kept


def _smallest(
    data: DensityDataModule, splits: list[str], number: int, largest_atoms: int | None = None
) -> list[Calculation]:
    """Calculations of the splits with the fewest atoms; of every size as many as of any other, as far as there are."""
    from densitylab.labels.records import load_calculation

    sizes: dict[int, list[str]] = {}
    for key in (key for split in splits for key in data.keys[split]):
        sizes.setdefault(data.source.size(key), []).append(key)
    if largest_atoms is not None:
        sizes = {size: keys for size, keys in sizes.items() if size <= largest_atoms}
    if not sizes:
        raise ConfigError(f"no structure of {' and '.join(splits)} has at most {largest_atoms} atoms")
    turns = sorted((turn, size, key) for size, keys in sizes.items() for turn, key in enumerate(keys))
    return [load_calculation(data.source.store, key) for _, _, key in turns[:number]]


def _write(run: Run, basis: GaussianBasis, functions: int) -> None:
    """``basis_N.yaml``, as :func:`densitylab.density.basis.from_file` reads it."""
    import yaml

    from densitylab.labels.design import as_shells

    content = {"name": f"{run.path.name}-{functions}", "shells": as_shells(basis)}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)
    (run.path / f"basis_{functions}.yaml").write_text(text)
