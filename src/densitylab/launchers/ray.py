"""``hydra/launcher=ray``: runs on a Ray cluster, or on one that is made of this machine for the occasion."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig

from densitylab.errors import sentence
from densitylab.launchers.base import ParallelLauncher
from densitylab.launchers.worker import Work, work

_PATIENCE_S = 120  # for runs that have been told to stop
_STORE_BYTES = 10**8  # of shared memory, about Ray's least: exit codes are all that goes through it


class RayLauncher(ParallelLauncher):
    """One Ray task per run; Ray starts a task again whose worker or machine is gone, elsewhere if need be.

    Attributes
    ----------
    address: of a running cluster (``auto``: the one of this machine); None makes one here and ends it afterwards.
    gpus: GPUs of each run, also a fraction of one; Ray shows each run its own.
    options: of ``ray.remote``, e.g. ``resources`` or ``memory``.
    """

    package = "ray"

    def __init__(
        self,
        workers: int,
        cpus: int = 1,
        retries: int = 2,
        address: str | None = None,
        gpus: float | int = 0,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(workers, cpus, retries)
        self.address, self.gpus, self.options = address, gpus, dict(options or {})

    @classmethod
    def is_local(cls, node: DictConfig) -> bool:
        """Without an address."""
        return node.address is None

    def execute(self, works: Sequence[Work]) -> Iterator[tuple[int, int | str]]:
        """See :meth:`ParallelLauncher.execute`."""
        import ray

        with _connected(self.address, self.workers * self.cpus):
            wanted = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": self.retries, **self.options}
            remote = ray.remote(**wanted)(interruptible_work)
            waiting = {remote.remote(task): index for index, task in enumerate(works)}
            try:
                while waiting:
                    (done,), _ = ray.wait(list(waiting))
                    yield waiting.pop(done), _end(done)
            finally:
                for reference in waiting:
                    ray.cancel(reference)
                if waiting:
                    ray.wait(list(waiting), num_returns=len(waiting), timeout=_PATIENCE_S)


def interruptible_work(task: Work) -> int:
    """Work that ``ray.cancel`` can interrupt: it acts as Ctrl-C does, which may be ignored where Ray was started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return work(task)


@contextmanager
def _connected(address: str | None, cpus: int) -> Iterator[None]:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    stop = signal.getsignal(signal.SIGTERM)
    ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **({} if address else here))
    signal.signal(signal.SIGTERM, stop)  # Ray has set one of its own
    try:
        yield
    finally:
        ray.shutdown()


def _end(reference: Any) -> int | str:
    """Exit code of a task, or the first sentence of why it has none."""
    import ray

    try:
        code: int = ray.get(reference)
        return code
    except ray.exceptions.RayTaskError as error:  # an exception in the worker
        return sentence(error.cause)
    except ray.exceptions.RayError as error:
        return sentence(error).split(". ")[0]
