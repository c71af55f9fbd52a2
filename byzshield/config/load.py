"""TOML to `RunConfig` and back, with errors that name the dotted key."""

import hashlib
import json
import math
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tomli_w

from byzshield.config.schema import RunConfig
from byzshield.errors import ConfigError
from byzshield.suggestion import suggestion

__all__ = ["configuration_hash", "dump", "from_table", "load"]

_FREE = {"run": {"name", "steps", "eval_every", "checkpoint_every", "output_dir"}, "data": {"root"}, "metrics": {"log_every"}}
_NAMES = ("name", "rule")
_LEAST: Mapping[str, float] = {
    "run.seed": 0,
    "run.steps": 1,
    "run.eval_every": 0,
    "run.checkpoint_every": 0,
    "cluster.num_workers": 1,
    "cluster.num_threads": 1,
    "cluster.quorum": 0,
    "cluster.round_timeout": 0.001,
    "cluster.startup_timeout": 0.001,
    "cluster.chunk_elements": 1,
    "data.batch_size": 1,
    "aggregation.num_corrupted": 0,
    "attack.num_byzantine": 0,
    "metrics.log_every": 0,
}


def load(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Reads a run file.

    Args:
        path: a TOML file.
        overrides: "section.key=value", the value in TOML (bare words count as strings). One that names another component
            ("attack.name=constant") drops the own keywords that the file gives to the old one.

    Raises:
        ConfigError: the file is missing, is not TOML, or a key or value is wrong.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for section, key, value in sorted(map(_parsed, overrides), key=lambda override: override[1] not in _NAMES):
        _override(table, section, key, value)
    return from_table(table)


def from_table(table: Mapping[str, Any]) -> RunConfig:
    """Builds a `RunConfig` from nested tables; keys that a section does not know become options where it has them.

    Raises:
        ConfigError: a key is unknown or a value has the wrong type or range.
    """
    sections = get_type_hints(RunConfig)
    built: dict[str, Any] = {}
    for name, values in table.items():
        if name not in sections:
            raise ConfigError(f"{name}: no such section; {suggestion(name, sections)}")
        if not isinstance(values, Mapping):
            raise ConfigError(f"{name}: must be a section, [{name}]; got {values!r}")
        built[name] = _section(name, sections[name], values)
    return RunConfig(**built)


def dump(config: RunConfig) -> str:
    """The resolved configuration as TOML, which `load` reads back to an equal one."""
    table: dict[str, dict[str, Any]] = {}
    for name, section in asdict(config).items():
        values = {**section, **section.get("options", {})}
        values.pop("options", None)
        table[name] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in values.items() if value is not None
        }
    return tomli_w.dumps(table)


def configuration_hash(config: RunConfig) -> str:
    """A hash of all that the results depend on; names, folders and how long to run do not count."""
    table = {
        name: {key: value for key, value in section.items() if key not in _FREE.get(name, ())}
        for name, section in asdict(config).items()
    }
    return hashlib.sha256(json.dumps(table, sort_keys=True, default=str).encode()).hexdigest()


def _parsed(override: str) -> tuple[str, str, Any]:
    dotted, separator, text = override.partition("=")
    section, dot, key = dotted.strip().partition(".")
    if not (separator and dot and section and key):
        raise ConfigError(f"--set wants section.key=value; got {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    return section, key, value


def _override(table: dict[str, Any], section: str, key: str, value: Any) -> None:
    target = table.setdefault(section, {})
    if not isinstance(target, dict):
        raise ConfigError(f"{section}: must be a section, [{section}]; got {target!r}")
    hints = get_type_hints(get_type_hints(RunConfig).get(section, object))
    if key in _NAMES and "options" in hints and target.get(key) != value:
        for own in set(target) - set(hints):
            del target[own]
    target[key] = value


def _section(name: str, cls: Any, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(cls)
    known = {entry.name for entry in fields(cls)} - {"options"}
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in values.items():
        dotted = f"{name}.{key}"
        if key in known:
            arguments[key] = _checked(dotted, hints[key], value)
        elif "options" in hints and key != "options":
            options[key] = value
        else:
            raise ConfigError(f"{dotted}: no such key; {suggestion(key, known)}")
    if "options" in hints:
        arguments["options"] = options
    missing = [entry.name for entry in fields(cls) if entry.default is MISSING and entry.default_factory is MISSING]
    for key in missing:
        if key not in arguments:
            raise ConfigError(f"{name}.{key}: is required")
    return cls(**arguments)


def _checked(dotted: str, hint: Any, value: Any) -> Any:
    """Returns `value` as the type of `hint`, or raises ConfigError."""
    for choice in _choices(hint):
        accepted, result = _as_type(choice, value)
        if accepted:
            least = _LEAST.get(dotted)
            if least is not None and isinstance(result, int | float) and not result >= least:
                raise ConfigError(f"{dotted}: must be at least {least:g}; got {value!r}")
            return result
    raise ConfigError(f"{dotted}: must be {_describe(hint)}; got {value!r}")


def _as_type(hint: Any, value: Any) -> tuple[bool, Any]:
    if get_origin(hint) is Literal:
        return value in get_args(hint), value
    if get_origin(hint) is tuple:
        choices = _choices(get_args(hint)[0])
        accepted = isinstance(value, list | tuple) and all(
            any(_as_type(choice, entry)[0] for choice in choices) for entry in value
        )
        return accepted, tuple(value) if accepted else value
    if get_origin(hint) is dict:
        return isinstance(value, dict), value
    if hint is float:
        accepted = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return accepted, float(value) if accepted else value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, hint) and value is not None, value


def _choices(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the hint alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _describe(hint: Any) -> str:
    if len(_choices(hint)) > 1:
        return " or ".join(_describe(choice) for choice in _choices(hint) if choice is not type(None))
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list, each entry {_describe(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "a table"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]
