"""Files that are either whole or not there, whenever the process is killed."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write under a temporary name, flush to disk, rename. Raises ``OSError``; ``path`` is then as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")  # of one process in the world
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # a full disk does not say where
    finally:
        part.unlink(missing_ok=True)
