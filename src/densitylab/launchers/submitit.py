"""``hydra/launcher=submitit``: runs as an array of SLURM jobs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from densitylab.errors import sentence
from densitylab.launchers.base import ParallelLauncher
from densitylab.launchers.worker import Work, work

_GLANCE_S = 1.0


class SubmititLauncher(ParallelLauncher):
    """One job per run, at most ``workers`` at a time; a job whose time is up is queued again and goes on.

    Attributes
    ----------
    cluster: slurm; ``local`` tries it out on this machine, all jobs at once.
    timeout_min: minutes that a job may take.
    mem_gb: memory of a job; None leaves it to SLURM.
    gpus: GPUs of a job.
    options: any other of submitit's, e.g. ``slurm_partition`` or ``slurm_account``.
    """

    package = "submitit"

    def __init__(
        self,
        workers: int,
        cpus: int = 1,
        retries: int = 2,
        cluster: Literal["slurm", "local"] = "slurm",
        timeout_min: int = 240,
        mem_gb: float | int | None = None,
        gpus: int = 0,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(workers, cpus, retries)
        self.cluster = cluster
        asked = {"timeout_min": timeout_min, "mem_gb": mem_gb, "gpus_per_node": gpus or None, "cpus_per_task": cpus}
        asked |= {"slurm_array_parallelism": workers, "slurm_signal_delay_s": 120, **dict(options or {})}
        self.asked: Mapping[str, Any] = {key: value for key, value in asked.items() if value is not None}

    @classmethod
    def is_local(cls, node: DictConfig) -> bool:
        """For trying out only."""
        return node.cluster != "slurm"

    @classmethod
    def problems(cls, node: DictConfig) -> Iterator[str]:
        """No SLURM."""
        if node.cluster == "slurm" and shutil.which("sbatch") is None:
            yield "hydra.launcher: there is no SLURM here (no sbatch); hydra.launcher.cluster=local tries it out"

    def execute(self, works: Sequence[Work]) -> Iterator[tuple[int, int | str]]:
        """See :meth:`ParallelLauncher.execute`."""
        import submitit

        executor = submitit.AutoExecutor(Path(self.config.hydra.sweep.dir) / "jobs", cluster=self.cluster)
        executor.update_parameters(**self.asked)
        waiting = dict(enumerate(executor.map_array(Restartable(), works)))
        try:
            while waiting:
                for index in [index for index, job in waiting.items() if job.done()]:
                    yield index, _end(waiting.pop(index))
                time.sleep(_GLANCE_S)
        finally:
            for job in waiting.values():
                job.cancel(check=False)
            for job in waiting.values():
                job.wait()


class Restartable:
    """A job that may be queued again when SLURM needs its place or its time is up: the run goes on where it was."""

    def __call__(self, task: Work) -> int:
        """Execute the run."""
        return work(task)

    def checkpoint(self, task: Work) -> Any:
        """What is queued again: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, task)


def _end(job: Any) -> int | str:
    """Exit code of a job, or why it has none."""
    try:
        code: int = job.result()
        return code
    except Exception as error:  # submitit's own, and whatever was raised in the job
        return sentence(error)[-200:]
