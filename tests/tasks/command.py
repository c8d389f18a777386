"""The command line, in this process."""

import signal
import sys

import pytest

from densitylab.__main__ import main


def start(*words: str) -> int:
    """Exit code of ``densitylab WORDS``; what it does to signals is undone."""
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["densitylab", *words])
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # for the runs, which are processes of their own
        try:
            return main()
        finally:
            signal.signal(signal.SIGTERM, handler)
