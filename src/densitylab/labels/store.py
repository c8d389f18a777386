"""The store: append-only records, each a safetensors file of its own, that survive being killed at any moment.

    <store>/calculation/<key>.safetensors     structure, level → energy, forces, dipole, orbitals
    <store>/fit/<key>.safetensors             calculation, basis, prior, constraints → coefficients, residuals
    <store>/prior/<key>.safetensors           one spherical atom at a level
    <store>/failure/<key>.json                what could not be labelled, and why
    <store>/claims/<name>                     who works on what at the moment (claims.py)
    <store>/structures/<name>.extxyz          structures as they were made (never made twice)
    <store>/shards/<name>.safetensors         many records in one file, for shipping

A record is written to a temporary name, flushed to disk and renamed: there is no half of one. The index is what the
folder holds; there is nothing to get out of step with it. safetensors holds arrays and text only, never code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from densitylab.keys import STORE
from densitylab.labels.claims import claim_in_turn
from densitylab.labels.record_file import (
    Record,
    StoreError,
    open_arrays,
    read_header,
    read_json,
    write_file,
    write_records,
)

Kind = Literal["calculation", "fit", "prior"]
_SUFFIX = ".safetensors"
_T = TypeVar("_T")


class Store:
    """Records of kind ``calculation``, ``fit`` and ``prior`` under one folder; a ``frozen`` one is only read.

    Raises
    ------
    StoreError
        If ``path`` is a file, or a shard in it is not densitylab's, damaged or of a newer schema (loose records are
        looked at when they are read).
    """

    def __init__(self, path: str | Path, frozen: bool = False) -> None:
        self.path, self.frozen = Path(path), frozen
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is not a folder")
        self._packed: dict[tuple[str, str], tuple[Path, dict[str, Any]]] = {}
        self._shards: set[Path] = set()
        self._enter_shards()

    def has(self, kind: Kind, key: str) -> bool:
        """Whether a record is there, loose or packed (by another process meanwhile, too)."""
        if (kind, key) in self._packed or self._file(kind, key).is_file():
            return True
        self._enter_shards()
        return (kind, key) in self._packed

    def keys(self, kind: Kind) -> list[str]:
        """Sorted keys of all records of a kind."""
        loose = {file.stem for file in self.path.glob(f"{kind}/*{_SUFFIX}")}
        return sorted(loose | {key for packed_kind, key in self._packed if packed_kind == kind})

    def meta(self, kind: Kind, key: str) -> dict[str, Any]:
        """The plain part of a record, without reading its arrays."""
        return self._read(kind, key, self._meta)

    def get(self, kind: Kind, key: str) -> Record:
        """Read a record. Raises ``KeyError`` if there is none, :class:`StoreError` if its file is damaged."""
        return self._read(kind, key, self._record)

    def put(self, kind: Kind, key: str, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Add a record; it is there in full when this returns. Raises :class:`StoreError` if it cannot be written."""
        missing = set(STORE[kind]) ^ set(arrays)
        if missing:
            raise ValueError(f"a {kind} record has the arrays {sorted(STORE[kind])}, got {sorted(arrays)}")
        if (kind, key) in self._packed:
            raise StoreError(f"{kind} {key} stands in {self._packed[kind, key][0]}, and a shard is never rewritten")
        write_records(self._file(kind, key), {f"{kind}/{key}": Record(arrays, meta)})

    def check_writable(self) -> None:
        """Before hours of work: raise :class:`StoreError` if their result could not be added."""
        if self.frozen:
            raise StoreError(f"{self.path} is only read here")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error.strerror}") from None

    def put_failure(self, key: str, meta: dict[str, Any]) -> None:
        """Record why there is no label of the structure with this calculation key."""
        write_file(self._failure(key), json.dumps(meta, indent=1).encode())

    def clear_failure(self, key: str) -> None:
        """Forget a failure, after a success."""
        if self._failure(key).exists():  # a store that is only read has none to forget
            self._failure(key).unlink(missing_ok=True)

    def failure(self, key: str) -> dict[str, Any] | None:
        """Why there is no label of the structure with this calculation key, if that was recorded."""
        file = self._failure(key)
        return read_json(file) if file.exists() else None

    def failures(self) -> dict[str, dict[str, Any]]:
        """Key → reason of what failed."""
        return {file.stem: read_json(file) for file in sorted(self.path.glob("failure/*.json"))}

    def pack(self, name: str) -> Path:
        """Move all loose records into one new shard, ``shards/<name>.safetensors``. A shard is never rewritten."""
        shard = self.path / "shards" / f"{name}{_SUFFIX}"
        if not any(self._loose()) and not shard.exists():
            raise StoreError(f"{self.path} has no loose records to pack")
        with claim_in_turn(self.path / "claims" / "pack"):  # others may add records meanwhile
            if shard.exists():
                raise StoreError(f"{shard} exists, and a shard is never rewritten; choose another name")
            loose = list(self._loose())
            write_records(shard, {f"{kind}/{key}": self.get(kind, key) for kind, key in loose})
            for kind, key in loose:
                self._file(kind, key).unlink()
        self._enter_shards()
        return shard

    def _read(self, kind: Kind, key: str, read: Callable[[Path, Kind, str], _T]) -> _T:
        """From the file that holds a record; again from the shard into which another process has packed it just now."""
        file = self._holding(kind, key)
        try:
            return read(file, kind, key)
        except StoreError:
            if file.exists():
                raise
            return read(self._holding(kind, key), kind, key)

    def _meta(self, file: Path, kind: Kind, key: str) -> dict[str, Any]:
        if (kind, key) in self._packed:
            return self._packed[kind, key][1]
        records: dict[str, Any] = read_header(file)["records"]
        if f"{kind}/{key}" not in records:
            raise StoreError(f"{file} holds another record ({', '.join(records)}); was it renamed?")
        meta: dict[str, Any] = records[f"{kind}/{key}"]
        return meta

    def _record(self, file: Path, kind: Kind, key: str) -> Record:
        meta = self._meta(file, kind, key)  # first: it knows a newer schema, which may well have other arrays
        names = [f"{kind}/{key}/{array}" for array in STORE[kind]]
        try:
            with open_arrays(file) as handle:
                arrays = {name.rsplit("/")[-1]: handle.get_tensor(name) for name in names}
        except Exception as error:  # safetensors has one untyped exception for every damage
            raise StoreError(f"{file}: damaged record {kind}/{key} ({error})") from None
        return Record(arrays, meta)

    def _enter_shards(self) -> None:
        """Take the records of new shards into the index."""
        for shard in sorted(set(self.path.glob(f"shards/*{_SUFFIX}")) - self._shards):
            self._enter(shard)

    def _enter(self, shard: Path) -> None:
        self._shards.add(shard)
        for name, meta in read_header(shard)["records"].items():
            kind, key = name.split("/")
            self._packed[kind, key] = (shard, meta)

    def _loose(self) -> Iterator[tuple[Kind, str]]:
        for kind in STORE:
            for file in sorted(self.path.glob(f"{kind}/*{_SUFFIX}")):
                yield kind, file.stem  # type: ignore[misc]

    def _file(self, kind: str, key: str) -> Path:
        return self.path / kind / f"{key}{_SUFFIX}"

    def _failure(self, key: str) -> Path:
        return self.path / "failure" / f"{key}.json"

    def _holding(self, kind: Kind, key: str) -> Path:
        if not self.has(kind, key):
            raise KeyError(f"{self.path} has no {kind} {key}")
        return self._packed[kind, key][0] if (kind, key) in self._packed else self._file(kind, key)
