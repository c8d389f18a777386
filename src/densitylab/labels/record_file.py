"""One safetensors file of one or many records: arrays, and plain data in its header. Never code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from densitylab.files import write_atomically
from densitylab.keys import STORE

SCHEMA = 1


class StoreError(RuntimeError):
    """A store or record that cannot be read or written; the message names the file."""


@dataclass(frozen=True)
class Record:
    """Named arrays (declared in :mod:`densitylab.keys`) and plain JSON-like ``meta``."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)


def write_records(path: Path, records: dict[str, Record]) -> None:
    """Write records, named kind/key, into one file. Raises :class:`StoreError` if that is impossible."""
    from safetensors.numpy import save

    arrays = {
        f"{name}/{array}": np.asarray(value, order="C")  # (ascontiguousarray would make scalars 1-d)
        for name, record in records.items()
        for array, value in record.arrays.items()
    }
    units = {kind: {name: field.unit for name, field in fields.items()} for kind, fields in STORE.items()}
    metas = {name: record.meta for name, record in records.items()}
    header = {"densitylab_schema": SCHEMA, "units": units, "records": metas}
    write_file(path, save(arrays, metadata={"densitylab": json.dumps(header)}))


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises :class:`StoreError`."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Plain data from a JSON file. Raises :class:`StoreError` if it is damaged."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise StoreError(f"{path}: not readable ({error})") from None
    return content


def open_arrays(path: Path) -> Any:
    """Handle from which single arrays are read by the name kind/key/array."""
    from safetensors import safe_open

    return safe_open(path, framework="numpy")


def read_header(path: Path) -> dict[str, Any]:
    """``records``: name → meta of everything in a file, and the units of its arrays.

    Raises
    ------
    StoreError
        If the file is damaged, not densitylab's, or of a newer schema.
    """
    try:
        with open_arrays(path) as handle:
            header = json.loads((handle.metadata() or {})["densitylab"])
        schema, _ = int(header["densitylab_schema"]), dict(header["records"])
    except (KeyError, TypeError):
        raise StoreError(f"{path}: a safetensors file, but not a densitylab record") from None
    except Exception as error:  # safetensors has one untyped exception for every damage
        raise StoreError(f"{path}: not readable ({error})") from None
    if schema > SCHEMA:
        raise StoreError(f"{path}: schema {schema}, written by a newer densitylab (this: {SCHEMA})")
    plain: dict[str, Any] = header
    return plain
