"""``task=predict``: densities of structures in files, by a trained network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densitylab.config import slug
from densitylab.dataset.familiarity import UnfamiliarError
from densitylab.errors import ConfigError
from densitylab.files import write_atomically
from densitylab.loading import load
from densitylab.outlook import Outlook
from densitylab.report.table import write_table
from densitylab.structures.files import from_files
from densitylab.tasks.parts import quiet
from densitylab.units import ANGSTROM_TO_BOHR, EBOHR_TO_DEBYE

if TYPE_CHECKING:
    from ase import Atoms
    from omegaconf import DictConfig

    from densitylab.density import Density
    from densitylab.evaluation.predictor import Predictor
    from densitylab.runs import Run

Product = Literal["extxyz", "hdf5", "cube", "surface", "html"]
_HEADER = ["number", "structure", "formula", "atoms", "charge / e", "dipole / D", "lowest atom / e", "highest atom / e"]


def predict(
    config: DictConfig, run: Run, path: str | list[str], model: str,
    write: Sequence[Product] = ("extxyz", "hdf5", "html"), charge: int | None = None, strange: bool = False,
    spacing: float = 0.3, level: float = 0.002, device: str = "cpu",
) -> list[dict[str, Any]]:  # fmt: skip
    """Predict the density of every structure in ``path``; what is asked for is left in the run's directory.

    In any case ``summary.csv`` and ``summary.md``. ``predictions.extxyz``: Å, charges in e about every nucleus, dipole
    in e·Å. ``predictions.h5``: every density in atomic units (:func:`densitylab.report.predictions.read_density`).
    For every structure ``NUMBER_NAME.cube``, ρ on points ``spacing`` (bohr) apart; ``.ply`` and ``.png``, the surface
    where ρ is ``level`` (e/bohr³), with its potential. ``predictions.html``: one page to look at, of the first 20.

    Raises
    ------
    StructureError
        A file that cannot be read, or chemistry that the network never saw (unless ``strange``).
    BasisError
        An element that the network does not know.
    ModelError
        No such model.
    """
    import h5py
    from tqdm import tqdm

    from densitylab.report.page import MOST_SHOWN, entry, write_page
    from densitylab.report.predictions import add_density, annotated, write_frames

    quiet()
    if not (spacing > 0 and level > 0):
        raise ConfigError(f"task.spacing and task.level must be positive, not {spacing} and {level}")
    structures, predictor, marks = _prepare(path, model, charge, strange, device)
    frames, rows, entries, memory = [], [], [], io.BytesIO()
    with h5py.File(memory, "w") as archive:
        densities = predictor.predict_all(structures, strange=True)  # it has just been looked at
        for number, atoms in enumerate(tqdm(structures, desc="predicting", unit="structure")):
            density = next(densities)
            frames.append(annotated(atoms, density, marks[number]))
            rows.append([number, atoms.info["group"], *_facts(frames[-1])] + [", ".join(marks[number])] * strange)
            if "hdf5" in write:
                add_density(archive, str(number), density, {"name": atoms.info["group"], "never_seen": marks[number]})
            if "html" in write and number < MOST_SHOWN:
                prior = predictor.trained.prior.density(atoms).to(density.centers.device)
                entries.append(entry(number, atoms, density, prior, level, ", ".join(marks[number])))
            _draw(run.path / f"{number}_{slug(atoms.info['group'])}", density, write, spacing, level)
    if "hdf5" in write:
        write_atomically(run.path / "predictions.h5", memory.getvalue())
    if "extxyz" in write:
        write_frames(run.path / "predictions.extxyz", frames)
    header = [*_HEADER, *["never seen"] * strange]
    if "html" in write:
        write_page(run.path / "predictions.html", f"Densities predicted by {model}", entries, header, rows, level)
    write_table(header, rows, run.path / "summary", f"predicted by {model}")
    return [{"name": "predicted", "value": len(rows), "unit": "1", "split": "predict", "group": "all"}]


def outlook(config: DictConfig) -> Outlook:
    """Read the files and find the model; see :mod:`densitylab.outlook`."""
    task = config.task
    structures, _, _ = _prepare(task.path, task.model, task.charge, task.strange, task.device)
    return Outlook([f"{len(structures)} structures, {sum(map(len, structures))} atoms"])


def _prepare(
    path: str | list[str], model: str, charge: int | None, strange: bool, device: str
) -> tuple[list[Atoms], Predictor, list[list[str]]]:
    """Structures, the network, and what it has never seen of each; refused unless ``strange``."""
    predictor, structures = load(model, device), from_files(path, charge)
    marks = [predictor.strange(atoms) for atoms in structures]
    odd = [f"structure {number}: {', '.join(mark)}" for number, mark in enumerate(marks) if mark]
    if odd and not strange:
        raise UnfamiliarError(f"the network was never trained on {'; '.join(odd[:5])}; task.strange=true allows it")
    return structures, predictor, marks


def _facts(atoms: Atoms) -> list[Any]:
    charges = atoms.arrays["charges"]
    dipole = float((atoms.info["dipole"] ** 2).sum() ** 0.5) * ANGSTROM_TO_BOHR * EBOHR_TO_DEBYE
    total = round(float(charges.sum()), 9) + 0.0  # not -0.000
    return [atoms.get_chemical_formula(), len(atoms), total, dipole, charges.min(), charges.max()]


def _draw(stem: Path, density: Density, write: Sequence[Product], spacing: float, level: float) -> None:
    from densitylab.density.surface import isosurface
    from densitylab.report.predictions import draw_surface, write_density_cube, write_ply

    if "cube" in write:
        write_density_cube(stem.with_name(f"{stem.name}.cube"), density, spacing)
    if "surface" in write:
        surface = isosurface(density, level, spacing)
        potential = density.potential(surface.vertices)
        write_ply(stem.with_name(f"{stem.name}.ply"), surface, potential)
        draw_surface(stem.with_name(f"{stem.name}.png"), surface, potential, f"potential at {level} e/bohr³")
