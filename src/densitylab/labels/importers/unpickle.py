"""Pickles of plain data and tensors, read without running anything that is in them.

A pickle is a program: it can name any function of any library and call it. This reader knows four names, and what
stands behind them is ours; at any other name it stops, before anything is called. This is the documented way to
restrict pickle ("Restricting Globals"), and the one file of densitylab that may import it (tests/test_house.py).
Storages of tensors are pickles inside the pickle; ``torch.load(weights_only=True)`` reads those.
"""

from __future__ import annotations

import io
from pathlib import Path
from pickle import Unpickler
from typing import Any

import torch
from torch import Tensor

from densitylab.labels.level import LabelError


def load_pickle(path: Path) -> Any:
    """Plain data and CPU tensors from a pickle.

    Raises
    ------
    LabelError
        If the file asks for anything else, is truncated, or is no pickle.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file).load()
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file") from None
    except Exception as error:  # a damaged pickle may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabelError(f"{path}: truncated, damaged, or not a pickle ({reason})") from None


class _Reader(Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The only road from a pickle to code."""
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch.storage", "_load_from_bytes"): _storage,
            ("collections", "OrderedDict"): _empty,
            ("_codecs", "encode"): _bytes,
        }
        if (module, name) not in known:
            raise LabelError(
                f"refused, because it wants to call {module}.{name}, and data has no need to call anything"
            )
        return known[module, name]


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *unused: Any) -> Tensor:
    """A tensor from its memory; PyTorch checks that it lies inside."""
    return torch.as_strided(storage, size, stride, offset).clone()


def _storage(content: bytes) -> Tensor:
    """The memory of a tensor, flat."""
    storage = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return torch.empty(0, dtype=storage.dtype).set_(storage)


def _empty(*unused: Any) -> dict[str, Any]:
    """The hooks of a tensor, of which there are none."""
    return {}


def _bytes(text: str, encoding: str) -> bytes:
    """How bytes are written by protocol 2."""
    if encoding != "latin1":
        raise LabelError(f"bytes in the unknown encoding {encoding}")
    return text.encode("latin1")
