"""The command line, in Hydra's own grammar."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra

from densitylab.config import CONFIG_NAME, conf_dir, register_resolvers
from densitylab.errors import ConfigError, did_you_mean
from densitylab.record import named_by_time

if TYPE_CHECKING:
    from densitylab.preflight import Plan

INFORMING = ("help", "hydra_help", "cfg", "info", "shell_completion")


def parse(words: list[str]) -> Namespace:
    """Hydra's arguments, with ``debug=…`` moved to the end: it has the last word, over an experiment too."""
    words = spelled_out(words)
    parser = get_args_parser()
    parser.prog = "densitylab"
    args = parser.parse_intermixed_args(words)  # flags may stand between overrides
    debug = [line for line in args.overrides if line.lstrip("+").startswith("debug=")]
    rest = [line for line in args.overrides if line not in debug]
    args.flags = [word for word in words if word not in args.overrides]
    args.overrides = rest + [f"+{line.lstrip('+')}" for line in debug if not line.endswith("=null")]
    return args


def spelled_out(words: list[str]) -> list[str]:
    """A task and its files as overrides: ``predict a.xyz b.xyz x=1`` means ``task=predict task.path=[…] x=1``.

    Raises
    ------
    ConfigError
        If the first word is neither a task nor an override.
    """
    if not words or not _is_plain(words[0]):
        return words
    tasks = sorted(file.stem for file in (conf_dir() / "task").glob("*.yaml"))
    if words[0] not in tasks:
        hint = did_you_mean(words[0], tasks) or f" (tasks: {', '.join(tasks)})"
        raise ConfigError(f"{words[0]} is neither a task nor of the form key=value{hint}")
    flags = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))  # they take words too
    files = [_quoted(word) for word in words[1:flags] if _is_plain(word)]
    rest = [word for word in words[1:flags] if not _is_plain(word)] + words[flags:]
    path = [f"task.path={files[0]}"] if len(files) == 1 else [f"task.path=[{','.join(files)}]"]
    return [f"task={words[0]}", *(path if files else []), *rest]


def _is_plain(word: str) -> bool:
    """Neither a flag nor an override."""
    return not word.startswith(("-", "+", "~")) and "=" not in word


def _quoted(word: str) -> str:
    """As Hydra reads it back, whatever is in it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def informs(args: Namespace) -> bool:
    """Whether the command only asks Hydra for information (``--help``, ``--cfg`` …)."""
    return any(getattr(args, flag) for flag in INFORMING)


def inform(args: Namespace) -> int:
    """Let Hydra answer."""
    register_resolvers()
    # The overrides first: --info takes an optional word, and would take the first override for it.
    sys.argv[1:] = [*args.overrides, *args.flags]
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=CONFIG_NAME)(lambda _: None)()
    return 0


@contextmanager
def open_hydra(args: Namespace) -> Iterator[Hydra]:
    """Hydra on our configuration folder and the one of ``--config-dir``.

    Raises:
        ConfigError: when a folder does not exist, or another main configuration is asked for.
    """
    if args.config_name or args.config_path:
        raise ConfigError("the main configuration is fixed; set DENSITYLAB_CONF to the folder of another")
    register_resolvers()
    hydra.version.setbase("1.3")
    search_path = create_config_search_path(str(conf_dir()))
    if args.config_dir:
        folder = Path(args.config_dir).absolute()
        if not folder.is_dir():
            raise ConfigError(f"--config-dir: {folder} is not a folder")
        search_path.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
    try:
        yield Hydra.create_main_hydra2("densitylab", search_path)
    finally:
        GlobalHydra.instance().clear()


def resume_hint(plan: Plan | None) -> str:
    """How to go on after Ctrl-C."""
    if plan is None:
        return "nothing was started"
    words, config = sys.argv[1:], plan.points[0].config
    if named_by_time(config):
        words = [*words, f"name={config.name}"]
    return f"go on with: python -m densitylab {shlex.join(words)}".rstrip()
