"""From a configuration node to an object: the only caller of ``hydra.utils.instantiate``.

A configuration may come from a stranger, so targets are limited to this package and the libraries named here.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf

from densitylab.errors import ConfigError, did_you_mean

ALLOWED = ("densitylab", "torch.optim", "torch.nn", "pytorch_lightning", "e3nn")
SELF = ("_target_", "_partial_")


def build(node: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the node's ``_target_`` with the node's other keys, and with what only the caller can know.

    Nested ``_target_`` nodes are built first. ``_partial_: true`` binds the arguments and does not call.

    Raises:
        ConfigError: when a target, nested ones included, is not allowed or does not exist.
    """
    tree = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    _refuse_foreign_targets(tree)
    if not isinstance(tree, dict) or "_target_" not in tree:
        return _instantiate(tree)
    target = resolve(tree["_target_"])
    options = _instantiate({key: value for key, value in tree.items() if key not in SELF})
    args = (*options.pop("_args_", ()), *args)
    # The outermost call is ours: Hydra would turn dataclass arguments into configuration nodes.
    call = functools.partial(target, *args, **{**options, **kwargs})
    return call if tree.get("_partial_") else call()


@functools.cache
def resolve(target: str) -> Callable[..., Any]:
    """The callable behind a dotted path.

    Raises:
        ConfigError: when the path leads outside of ``ALLOWED``, cannot be imported or is no callable.
    """
    private = isinstance(target, str) and any(part.startswith("_") for part in target.split("."))
    if not isinstance(target, str) or private or not _inside(target):
        raise _refused(target)
    found = _locate(target)
    # A re-export (densitylab.build.importlib.import_module) is judged by where it was written.
    if not _inside(getattr(found, "__module__", None) or ""):
        raise _refused(target)
    if not callable(found):
        raise ConfigError(f"{target} cannot be called")
    return found


def _inside(name: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in ALLOWED)


def _refused(target: object) -> ConfigError:
    return ConfigError(f"{target} is refused: a target is a public name inside {', '.join(ALLOWED)}")


def _locate(target: str) -> Any:
    """Import the longest module path that is inside the list, then walk attributes without leaving it."""
    parts = target.split(".")
    module, depth = _import_longest(parts)
    found: Any = module
    for part in parts[depth:]:
        if not hasattr(found, part):
            raise ConfigError(f"{target} does not exist{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
        if isinstance(found, ModuleType) and not _inside(found.__name__):
            raise _refused(target)
    return found


def _import_longest(parts: list[str]) -> tuple[ModuleType, int]:
    for depth in range(len(parts), 0, -1):
        name = ".".join(parts[:depth])
        if not _inside(name):
            break
        try:
            return importlib.import_module(name), depth
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):  # it is there, something it imports is not
                raise ConfigError(f"{name} cannot be imported: {error}") from error
        except Exception as error:
            raise ConfigError(f"{name} cannot be imported: {error}") from error
    raise ConfigError(f"{'.'.join(parts)} does not exist")


def _refuse_foreign_targets(tree: Any) -> None:
    """Resolve every target of the tree before the first of them is called."""
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    if isinstance(tree, dict) and "_target_" in tree:
        resolve(tree["_target_"])
    for child in children:
        _refuse_foreign_targets(child)


def _instantiate(tree: Any) -> Any:
    """Build the nodes inside plain containers; anything else passes through."""
    if not isinstance(tree, (dict, list)):
        return tree
    from hydra.utils import instantiate  # 0.2 s that a look-up of targets alone does not need

    return instantiate(tree, _convert_="all")
