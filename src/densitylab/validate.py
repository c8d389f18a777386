"""Every node of a configuration against the signature of what it calls: unknown keys, missing ones, types."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from densitylab.build import resolve
from densitylab.config import Config, Paths
from densitylab.errors import ConfigError, did_you_mean

SPECIAL = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
SUPPLIED = {"task": 2, "report": 1}  # leading arguments that come from us: (cfg, run) and (directory)
PLAIN = (int, float, bool, str, NoneType, Path)
CONTAINERS = (list, tuple, dict, set, collections.abc.Sequence, collections.abc.Mapping)
UNKNOWN = object()  # a value that could not be read, which is a problem of its own


class Parameter(NamedTuple):
    """What a signature says about one key; no ``annotation`` unless YAML alone can express such a value."""

    annotation: Any
    required: bool


def check(config: dict[str, Any]) -> Iterator[str]:
    """All problems of a resolved configuration, each opening with its dotted path."""
    yield from check_call(Config, config, "")
    if isinstance(config.get("paths"), dict):
        yield from check_call(Paths, config["paths"], "paths")
    for key, value in config.items():
        yield from _check_node(value, key, SUPPLIED.get(key, 0))


def takes(target: Callable[..., Any], supplied: int = 0) -> tuple[dict[str, Parameter], bool]:
    """The keys a target takes from YAML, and whether it takes any other key too (``**kwargs``)."""
    parameters, extra = _signature(target)
    return dict(list(parameters.items())[supplied:]), extra


def _check_node(node: Any, path: str, supplied: int = 0) -> Iterator[str]:
    if isinstance(node, dict) and "_target_" in node and node["_target_"] is not UNKNOWN:
        try:
            target = resolve(node["_target_"])
        except (ConfigError, TypeError) as error:  # TypeError: a list or dict, which no cache can look up
            yield f"{path}._target_: {error}"
        else:
            yield from check_call(target, node, path, supplied)
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _check_node(child, f"{path}.{key}")


def check_call(target: Callable[..., Any], node: dict[str, Any], path: str, supplied: int = 0) -> Iterator[str]:
    """Problems of one call, not of the nodes inside it; the caller supplies its first arguments."""
    parameters, extra = takes(target, supplied)
    dot = f"{path}." if path else ""
    for key, value in node.items():
        if key in parameters:
            yield from _check_value(value, parameters[key].annotation, f"{dot}{key}")
        elif key not in SPECIAL and not extra:
            known = did_you_mean(str(key), parameters) or f"; known here: {', '.join(parameters) or 'none'}"
            yield f"{dot}{key}: unknown key{known}"
    for key, parameter in parameters.items():
        # A type that YAML cannot express is an object that the task passes at run time.
        if parameter.required and parameter.annotation and key not in node and not node.get("_partial_"):
            yield f"{dot}{key}: required by {target.__qualname__}, but not set"


def _check_value(value: Any, annotation: Any, path: str) -> Iterator[str]:
    if annotation is None or value is UNKNOWN or (isinstance(value, dict) and "_target_" in value):
        return
    if not _fits(value, annotation):
        choices = map(str, get_args(annotation)) if get_origin(annotation) is Literal else []
        shown = "null" if value is None else repr(value)
        yield f"{path}: expected {_name(annotation)}, got {shown}{did_you_mean(str(value), choices)}"


def _fits(value: Any, annotation: Any) -> bool:
    """Whether the value has the type; only what YAML cannot say is converted (list → tuple, str → Path)."""
    from pydantic import ValidationError

    try:
        _adapter(annotation).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return False
    return True


@functools.cache
def _adapter(annotation: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


@functools.cache
def _signature(target: Callable[..., Any]) -> tuple[dict[str, Parameter], bool]:
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except ValueError:  # written in C, without a signature: anything goes
        return {}, True
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    names = getattr(function, "__globals__", {})
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = {p.name: _parameter(p, names) for p in parameters if p.kind not in variadic}
    return found, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _parameter(parameter: inspect.Parameter, names: dict[str, Any]) -> Parameter:
    """One parameter at a time, because one annotation that cannot be read must not hide the others."""
    holder = type("Holder", (), {"__annotations__": {"it": parameter.annotation}})
    try:
        annotation = get_type_hints(holder, names, include_extras=True)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        annotation = inspect.Parameter.empty
    return Parameter(annotation if _plain(annotation) else None, parameter.default is inspect.Parameter.empty)


def _plain(annotation: Any) -> bool:
    """Whether YAML alone can express every value of the type."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return True
    if origin is Annotated:
        return _plain(args[0])
    if origin in (Union, UnionType) or origin in CONTAINERS:
        return all(arg is Ellipsis or _plain(arg) for arg in args)
    return any(annotation is kind for kind in (*PLAIN, *CONTAINERS))


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(annotation))}"
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation).replace("typing.", "")
