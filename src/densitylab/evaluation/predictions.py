"""``predictions.h5`` and ``errors.csv``: every structure that was measured, for whoever asks further."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
from torch import Tensor

from densitylab.evaluation.density import Errors, unit
from densitylab.files import write_atomically
from densitylab.keys import GRAPH
from densitylab.labels.records import Label


@dataclass(frozen=True)
class Prediction:
    """A structure with its label, the predicted coefficients (F,) of Δρ, and their errors."""

    split: str
    label: Label
    coefficients: Tensor
    errors: Errors


def write_predictions(file: Path, predictions: list[Prediction]) -> None:
    """HDF5: ``/SPLIT/KEY`` with ``numbers``, ``positions`` (Å), ``predicted`` and ``fitted`` (F,) coefficients of Δρ.

    The attributes of the file are the basis and the prior as JSON, those of a structure its errors; arrays carry
    their ``unit``.
    """
    memory = io.BytesIO()
    with h5py.File(memory, "w") as archive:
        for prediction in predictions:
            label, atoms = prediction.label, prediction.label.calculation.atoms
            archive.attrs["basis"] = json.dumps(label.basis.describe())
            archive.attrs["prior"] = json.dumps(label.prior.describe())
            group = archive.create_group(f"{prediction.split}/{prediction.errors.key}")
            group.attrs.update({f"{name} / {unit(name)}": value for name, value in prediction.errors.values().items()})
            coefficients = GRAPH["coefficients"].unit
            for name, values, its_unit in (
                ("numbers", atoms.numbers, "1"),
                ("positions", atoms.positions, "Å"),
                ("predicted", prediction.coefficients.numpy(), coefficients),
                ("fitted", label.fit.coefficients, coefficients),
            ):
                group.create_dataset(name, data=values).attrs["unit"] = its_unit
    write_atomically(file, memory.getvalue())


def write_errors(file: Path, predictions: list[Prediction]) -> None:
    """CSV: one line per structure."""
    names = list(dict.fromkeys(name for prediction in predictions for name in prediction.errors.values()))
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["split", "group", "trajectory", "key", *(f"{name} / {unit(name)}" for name in names)])
    for prediction in predictions:
        errors, info = prediction.errors, prediction.label.calculation.atoms.info
        values = errors.values()
        lines.writerow([prediction.split, errors.group, info["group"], errors.key, *(values.get(n) for n in names)])
    write_atomically(file, text.getvalue())
