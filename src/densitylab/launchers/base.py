"""What all launchers share: runs are prepared here, executed anywhere, and started again when they are lost."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from densitylab.errors import ConfigError, report
from densitylab.launchers.worker import Work
from densitylab.lock import is_main_rank
from densitylab.process import open_run, record_violent_end, short, violence
from densitylab.record import Frozen, freeze, without_hydra
from densitylab.runs import Run

THREADS = ("OMP_NUM_THREADS", "OPENMM_CPU_THREADS", "NUMBA_NUM_THREADS")
# To other machines go what finds and switches the program, and nothing that could be a secret.
CARRIED = ("PYTHONPATH", "DENSITYLAB_", "OMP_", "PYSCF_", "HYDRA_FULL_ERROR")


@dataclass(frozen=True)
class Job:
    """One point of a sweep."""

    lines: list[str]
    config: DictConfig
    run: Run
    frozen: Frozen


class ParallelLauncher(Launcher, ABC):
    """Several runs at a time, each in a process of its own that reads its directory and writes into it.

    All that travels to a worker is the name of a directory: workers see the same file system. A run whose process is
    lost (killed, preempted, its machine gone) is started again up to ``retries`` times and goes on where it can; one
    that failed by itself is not. What a run prints stands in its ``output.log``.

    Attributes
    ----------
    package: the library, and the extra of densitylab that brings it.
    workers: runs at a time, and processes that share a task.
    cpus: cores of each.
    """

    package: ClassVar[str]

    def __init__(self, workers: int, cpus: int = 1, retries: int = 2) -> None:
        self.workers, self.cpus, self.retries = workers, cpus, retries

    @classmethod
    def is_local(cls, node: DictConfig) -> bool:
        """Whether runs stay on this machine."""
        return True

    @classmethod
    def problems(cls, node: DictConfig) -> Iterator[str]:
        """Why it could not start anything here."""
        yield from ()

    @abstractmethod
    def execute(self, works: Sequence[Work]) -> Iterator[tuple[int, int | str]]:
        """Start them all; yields index and exit code, or why the process was lost, of each as it ends.

        An exception raised in here, Ctrl-C above all, stops all of them, and waits until they have stopped.
        """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's handshake."""
        self.loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all points; what Hydra's sweeper calls."""
        if not is_main_rank():
            raise ConfigError(f"hydra/launcher={self.package} starts its processes itself: no torchrun or srun")
        jobs = [self._job(list(lines), number) for number, lines in enumerate(job_overrides, initial_job_idx)]
        waiting = {number: job for number, job in enumerate(jobs) if _opened(job)}
        ends: dict[int, int | str] = {}
        for left in range(self.retries, -1, -1):
            order = list(waiting)
            for index, end in self.execute([self._work(waiting[number].run) for number in order] if order else []):
                number = order[index]
                ends[number] = end
                if _is_lost(waiting[number]):
                    _tell(waiting[number], f"{violence(end)}{', is started again' if left else ''}")
                else:
                    _tell(waiting.pop(number))
            if not waiting:
                break
        for number, job in waiting.items():
            record_violent_end(job.run, ends.get(number, "its worker was lost"))
        return [_returned(job) for job in jobs]

    def _job(self, lines: list[str], number: int) -> Job:
        config = self.loader.load_sweep_config(self.config, lines)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        path = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir)
        config = without_hydra(config)
        return Job(lines, config, Run(path), freeze(config))

    def _work(self, run: Run) -> Work:
        settings = {key: value for key, value in os.environ.items() if key.startswith(CARRIED)}
        settings |= dict.fromkeys(THREADS, str(self.cpus))
        return Work(str(run.path.absolute()), str(Path.cwd()), settings)


def _opened(job: Job) -> bool:
    try:
        return open_run(job.run, job.frozen)
    except (ConfigError, OSError) as error:
        report(error)
        return False


def _is_lost(job: Job) -> bool:
    """Whether it ended without a verdict of its own."""
    return job.run.state(job.frozen) not in ("finished", "failed")


def _tell(job: Job, loss: str | None = None) -> None:
    """One line per end: the reason of a failure follows when all have ended."""
    state = "lost" if loss else job.run.state(job.frozen)
    print(f"{state}: {short(job.run.path)}{f': {loss}' if loss else ''}", flush=True)


def _returned(job: Job) -> JobReturn:
    returned = JobReturn(overrides=job.lines, cfg=job.config, status=JobStatus.COMPLETED)
    returned.return_value = job.run.state(job.frozen)
    return returned
