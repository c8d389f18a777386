"""The one error a user can cause with a configuration, and how any error becomes one clear sentence."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
import warnings
from collections.abc import Iterable


class ConfigError(ValueError):
    """The configuration, the command line or the state of a run directory does not allow the run."""


class ConfigProblems(ConfigError):
    """Everything that is wrong with a command line, all at once."""

    def __init__(self, problems: list[str]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{len(problems)} problem{'s' * (len(problems) > 1)} in the configuration{lines}")


def did_you_mean(word: str, known: Iterable[str], form: str = "{}") -> str:
    """``", did you mean X?"`` for the closest known word, written in ``form``; nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {form.format(close[0])}?" if close else ""


def sentence(error: BaseException) -> str:
    """The message of an error on one line; for a wrapper without words of its own, that of its cause."""
    text = str(error)
    while not text.strip() and error.__cause__ is not None:
        error = error.__cause__
        text = str(error)
    # Hydra and OmegaConf append search paths, object types and links: noise in a sentence.
    for noise in ("Config search path:", "See https", "    full_key:", "full_key:", "    object_type="):
        text = text.split(f"\n{noise}")[0]
    return " ".join(text.split()) or type(error).__name__


def report(error: BaseException, debug: bool = False) -> None:
    """Print ``error: <one sentence>``; the traceback only for those who asked for it."""
    ours = isinstance(error, ConfigError)
    if (debug and not ours) or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    text = str(error) if ours else sentence(error)
    print(f"error: {text}", file=sys.stderr, flush=True)


def plain_warnings() -> None:
    """Show warnings as one line, ``warning: <message>``, without the line of code that they come from."""

    def formatted(message: Warning | str, *place: object, **more: object) -> str:
        return f"warning: {message}\n"

    warnings.formatwarning = formatted
