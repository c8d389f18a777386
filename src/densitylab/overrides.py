"""Overrides, applied the way Hydra does, with each bad one explained where Hydra stops at the first."""

from __future__ import annotations

import copy
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import split_key
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from densitylab.build import resolve
from densitylab.config import CONFIG_NAME
from densitylab.errors import ConfigError, did_you_mean, sentence
from densitylab.validate import takes


class Composer:
    """Composes with Hydra's own loader; what does not fit is left out and explained in a list of problems."""

    def __init__(self, hydra: Hydra, lines: list[str]) -> None:
        self.loader = cast(ConfigLoaderImpl, hydra.config_loader)
        self._hydra = hydra
        self._parser = OverridesParser.create(config_loader=self.loader)
        self._baselines: dict[tuple[object, ...], DictConfig] = {}
        # The loader's own call, so that folders which hydra.searchpath adds on the command line count too.
        self._search_path = [line for line in lines if line.startswith("hydra.searchpath=")]
        self._files = self.loader._parse_overrides_and_create_caching_repo(CONFIG_NAME, self._search_path)[1]

    def parse(self, lines: list[str], problems: list[str]) -> list[Override]:
        """The overrides that can be read and, if they choose an option of a group, choose one that exists."""
        parsed = []
        for line in lines:
            try:
                parsed.append(self._parser.parse_override(line))
            except HydraException as error:
                problems.append(f"{line}: not of the form key=value ({sentence(error)})")
        bad = {id(o): self._bad_option(o) for o in parsed if self.is_group(o)}
        problems += [problem for problem in bad.values() if problem]
        return [o for o in parsed if not bad.get(id(o))]

    def compose(self, overrides: list[Override], mode: RunMode, problems: list[str]) -> DictConfig:
        """What Hydra composes from the overrides that fit. Those that sweep are left out.

        Raises:
            HydraException: when the groups alone cannot be composed.
        """
        single = [o for o in overrides if not o.is_sweep_override()]
        groups = self._misplaced(single, problems)
        config = copy.deepcopy(self._baseline(tuple(str(o.input_line) for o in groups), mode))
        for override in single:
            if not self.is_group(override):
                config = self._apply(override, config, problems)
        return config

    def is_group(self, override: Override) -> bool:
        """Whether the override chooses an option of a group (``model={lmax:1}`` merges values into one)."""
        return self._files.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def _baseline(self, lines: tuple[str, ...], mode: RunMode) -> DictConfig:
        if (lines, mode) not in self._baselines:
            overrides = [*self._search_path, *lines]
            self._baselines[lines, mode] = self.loader.load_configuration(CONFIG_NAME, overrides, mode)
        return self._baselines[lines, mode]

    def _choices(self, added: list[Override]) -> DictConfig:
        lines = tuple(str(o.input_line) for o in added)
        return cast(DictConfig, self._baseline(lines, RunMode.MULTIRUN).hydra.runtime.choices)

    def _bad_option(self, override: Override) -> str | None:
        group, sweeps = override.key_or_group, override.is_sweep_override()
        value: Any = list(override.sweep_string_iterator()) if sweeps else override.value()
        options = self._files.get_group_options(group)
        for name in value if isinstance(value, list) else [value]:
            if name not in (None, "null", *options):
                known = did_you_mean(str(name), options, f"{group}={{}}")
                return f"{group}={name}: no such option{known or '; there are ' + ', '.join(options)}"
        return None

    def _misplaced(self, overrides: list[Override], problems: list[str]) -> list[Override]:
        """The choices of groups that Hydra will take; ``+`` adds a group, without it one is changed."""
        chosen = [o for o in overrides if self.is_group(o)]
        always = self._choices([])
        added = [o for o in chosen if o.is_add() and o.get_key_element()[1:] not in always]
        present = self._choices(added)
        fitting = []
        for override in chosen:
            line, key = str(override.input_line), override.get_key_element().lstrip("+~")
            if override.is_add() and override not in added:
                problems.append(f"{line}: {key} is always there, write {line.lstrip('+')}")
            elif not override.is_add() and key not in present:
                problems.append(f"{line}: no {key} is chosen yet, write +{line.lstrip('~')}")
            else:
                fitting.append(override)
        return fitting

    def _apply(self, override: Override, config: DictConfig, problems: list[str]) -> DictConfig:
        changed = copy.deepcopy(config)  # an update that fails half-way leaves traces
        try:
            ConfigLoaderImpl._apply_overrides_to_config([override], changed)
        except HydraException as error:
            cause = error.__cause__ or error
            explained = None
            if isinstance(cause, (ConfigAttributeError, ConfigKeyError)) or override.is_delete():
                explained = unknown_key(override, config, list(self._hydra.list_all_config_groups()))
            if override.is_add() and cause is error:
                explained = f"{override.input_line}: exists already, write it without +"
            problems.append(explained or f"{override.input_line}: {sentence(cause)}")
            return config
        return changed


def unknown_key(override: Override, config: DictConfig, groups: list[str]) -> str | None:
    """Say where a dotted path leaves the configuration and what was probably meant; None if it does not."""
    line, key = str(override.input_line), override.key_or_group
    node: Any = config
    walked: list[str] = []
    parts = split_key(key)
    for part in parts:
        if not isinstance(node, DictConfig) or part not in node:
            break
        walked.append(part)
        node = OmegaConf.select(config, ".".join(walked), throw_on_missing=False)
    if len(walked) == len(parts):
        return None
    if not isinstance(node, DictConfig):
        return f"{line}: {'.'.join(walked)} is a value, it has no keys"
    word, prefix = parts[len(walked)], "".join(f"{part}." for part in walked)
    listed = [str(name) for name in node if name != "hydra"]
    legal = _signature_keys(node)
    if word in legal and len(walked) == len(parts) - 1:
        return f"{key}: legal but not listed in the YAML, write +{line.lstrip('+')}"
    names = listed if walked else [*listed, *groups]
    known = did_you_mean(word, names, prefix + "{}") or did_you_mean(word, legal, f"+{prefix}{{}}")
    here = sorted(name for name in {*names, *legal} if not name.startswith("hydra"))
    return f"{key}: unknown key{known or '; known here: ' + ', '.join(here)}"


def _signature_keys(node: DictConfig) -> list[str]:
    try:
        return list(takes(resolve(node["_target_"]))[0]) if "_target_" in node else []
    except ConfigError:
        return []
