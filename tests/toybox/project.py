"""A scratch project: the toy configuration in a directory of its own, and densitylab started there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOYBOX = Path(__file__).parent
ROOT = TOYBOX.parents[1]


class Project:
    """``run`` waits for the end, ``start`` does not."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []
        self.conf = home / "conf"
        shutil.copytree(TOYBOX / "conf", self.conf)
        for group in ("hydra", "debug"):
            shutil.copytree(ROOT / "conf" / group, self.conf / group)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(str(folder) for folder in (TOYBOX, ROOT / "src"))
        ours = ("HYDRA", "DENSITYLAB")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return {**kept, "PYTHONPATH": path, "DENSITYLAB_CONF": str(self.conf)}

    def yaml(self, file: str, text: str) -> None:
        (self.conf / file).parent.mkdir(parents=True, exist_ok=True)
        (self.conf / file).write_text(text)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "densitylab", *words],
            cwd=self.home,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """A test that failed half-way leaves no process behind."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def results(self, run: str) -> dict[str, Any]:
        results: dict[str, Any] = json.loads((self.home / "outputs" / run / "results.json").read_text())
        return results

    def processes(self, run: str) -> list[int]:
        file = self.home / "outputs" / run / "processes"
        return [int(line.split()[0]) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, run: str) -> int:
        """The process of a run, as soon as it works."""
        for _ in range(1000):
            if self.processes(run):
                return self.processes(run)[-1]
            time.sleep(0.02)
        raise TimeoutError(run)
