"""A program for tests/labels/test_store.py: children that use a store as hard as they can, and are killed for it.

python killed_writer.py put <store> <rounds>     children that write records until they are killed
python killed_writer.py pack <store> <rounds>    children that pack the loose records into a shard
"""

import os
import random
import signal
import sys
import time
from itertools import count

import numpy as np

from densitylab.labels.store import Store


def content(key: str) -> np.ndarray:
    """What a record of this key holds: 160 kB, so that one takes several writes of the operating system."""
    return np.random.default_rng(list(key.encode())).normal(size=20_000)


def put(path: str, child: int) -> None:
    store = Store(path)
    for number in count():
        key = f"{child}-{number}"
        store.put("fit", key, {"coefficients": content(key)}, {"number": number})


def pack(path: str, child: int) -> None:
    Store(path).pack(f"shard-{child}")


def main() -> None:
    what, path, rounds = {"put": put, "pack": pack}[sys.argv[1]], sys.argv[2], int(sys.argv[3])
    random.seed(0)
    for child in range(rounds):
        pid = os.fork()
        if pid == 0:
            try:
                what(path, child)
            finally:
                os._exit(0)
        time.sleep(random.uniform(0.002, 0.15))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
