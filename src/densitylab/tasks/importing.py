"""``task=import``: labels that other programs made, into a store."""

from __future__ import annotations

from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densitylab.tasks.parts import label_source

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from densitylab.labels.importers import Imported
    from densitylab.labels.source import LabelSource
    from densitylab.runs import Run


def import_labels(
    config: DictConfig,
    run: Run,
    path: str,
    program: str,
    store: str = "labels",
    format: Literal["auto", "pickle", "psi4", "molden", "fchk"] = "auto",
    repair: Literal["refuse", "mask"] = "refuse",
    geometry: str | None = None,
    group: str | None = None,
) -> list[dict[str, Any]]:
    """Read files of other programs, check every record, add what is not there yet to ``store``, and fit it.

    ``path`` is a file or a shell pattern. The level is that of ``config.labels``, made by ``program``; see
    :func:`densitylab.labels.importers.read` for the rest. Nothing is added unless everything can be read and is sound.

    Raises
    ------
    LabelError, StructureError, BasisError
        What is wrong with the files; nothing has been added.
    """
    from densitylab.labels import LabelError
    from densitylab.labels.importers import read

    source = label_source(config, store=store)
    source = replace(source, level=replace(source.level, program=program))
    paths = [Path(name) for name in sorted(glob(path, recursive=True))] or [Path(path)]
    beside = Path(geometry) if geometry else None
    known = None if format == "auto" else format
    records = read(paths, known, source.level, source.make_basis, repair, beside, group)
    if len({str(record.calculation.level) for record in records}) > 1:
        raise LabelError("files of several levels: import them one by one")
    source = replace(source, level=records[0].calculation.level)
    _check(records, source)
    source.store.check_writable()
    new = sum(_save(record, source) for record in records)
    keys = sorted({record.calculation.key for record in records})
    source.of(keys).complete(keys)
    print(f"{new} of {len(records)} records are new in {store}, at {source.level} of {program}")
    return [{"name": "imported", "value": float(new), "unit": "1", "split": "import", "group": "all"}]


def _check(records: list[Imported], source: LabelSource) -> None:
    """Raise :class:`LabelError` that names the first record that is not sound."""
    from densitylab.density import Prior
    from densitylab.labels import Fit, LabelError
    from densitylab.labels.checks import check_calculation, check_fit, require_sound

    for number, record in enumerate(records):
        calculation, findings = record.calculation, list(check_calculation(record.calculation))
        if record.coefficients is not None:
            basis, fit = source.make_basis(elements=set(calculation.atoms.symbols)), Fit(record.coefficients)
            findings += check_fit(calculation, fit, basis, Prior.none(), source.fit.constraints)
        try:
            require_sound(findings)
        except LabelError as error:
            formula, group = calculation.atoms.get_chemical_formula(), calculation.atoms.info["group"]
            raise LabelError(f"structure {number} ({formula}, {group}): {error}") from None


def _save(record: Imported, source: LabelSource) -> bool:
    """Add what is not there; returns whether there was anything to add."""
    from densitylab.density import Prior
    from densitylab.labels import Fit
    from densitylab.labels.records import save_calculation, save_fit

    calculation, none = record.calculation, Prior.none()
    symbols = set(calculation.atoms.symbols)
    new = not source.store.has("calculation", calculation.key)
    if record.coefficients is not None:  # first: without orbitals, a calculation is nothing without its fit
        basis = source.make_basis(elements=symbols)
        key = source.fit.key(calculation.key, symbols, basis, none)
        if not source.store.has("fit", key):
            save_fit(source.store, key, calculation.key, Fit(record.coefficients), basis, none, source.fit)
    if new:
        save_calculation(source.store, calculation, source.licence)
    return new
