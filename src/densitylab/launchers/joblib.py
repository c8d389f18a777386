"""``hydra/launcher=joblib``: several runs at a time on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from threading import Event, Semaphore

from densitylab.errors import ConfigError, sentence
from densitylab.launchers.base import ParallelLauncher
from densitylab.launchers.worker import Work, work


class JoblibLauncher(ParallelLauncher):
    """joblib's threads: each watches over the process of one run, which is all that it has to do."""

    package = "joblib"

    def execute(self, works: Sequence[Work]) -> Iterator[tuple[int, int | str]]:
        """See :meth:`ParallelLauncher.execute`."""
        from joblib import Parallel, delayed

        stop, watched, turn = Event(), set[int](), Semaphore(self.workers)

        def watch(index: int, task: Work) -> tuple[int, int | str]:
            watched.add(index)
            try:
                with turn:
                    return index, "not started" if stop.is_set() else work(task, stop.is_set)
            except (ConfigError, OSError) as error:
                return index, sentence(error)
            finally:
                watched.discard(index)

        # Never one thread: joblib would then work in this one, where Ctrl-C looks like a run that was lost.
        threads = max(2, self.workers)
        pool = Parallel(threads, backend="threading", return_as="generator_unordered", pre_dispatch="all")
        try:
            yield from pool(delayed(watch)(index, task) for index, task in enumerate(works))
        finally:
            stop.set()
            while watched:
                time.sleep(0.05)
