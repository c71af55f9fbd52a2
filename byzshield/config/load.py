"""TOML to `RunConfig` and back, with errors that name the dotted key."""

import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import tomli_w

from byzshield.config.schema import RunConfig
from byzshield.config.section import Section, constraint_of
from byzshield.errors import ConfigError
from byzshield.suggestion import suggestion

__all__ = [
    "Change",
    "configuration_hash",
    "dump",
    "from_table",
    "load",
    "override",
    "parse_override",
    "read_run_file",
    "read_table",
]

_NAMES = ("name", "rule")
Change = tuple[str, str, Any]
"""A section, one of its keys, and the value that it is to have."""


def load(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Reads a run file.

    Args:
        path: a TOML file.
        overrides: "section.key=value", the value in TOML (bare words count as strings). One that names another component
            ("attack.name=constant") drops the own keywords that the file gives to the old one.

    Raises:
        ConfigError: the file is missing, is not TOML, or a key or value is wrong.
    """
    table = read_run_file(path)
    override(table, map(parse_override, overrides))
    return from_table(table)


def read_run_file(path: Path) -> dict[str, Any]:
    """Reads the nested tables of a run file, in which run.module_dir then is an absolute path.

    Raises:
        ConfigError: it is missing or not TOML.
    """
    table = read_table(path)
    run = table.setdefault("run", {})
    if isinstance(run, dict) and isinstance(folder := run.get("module_dir", ""), str):
        run["module_dir"] = os.path.abspath(path.parent / os.path.expanduser(folder))
    return table


def read_table(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        ConfigError: it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a mark before it
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def override(table: dict[str, Any], changes: Iterable[Change]) -> None:
    """Changes the nested tables of a run file in place, names of components first, as `load` says.

    Raises:
        ConfigError: a section is not a table.
    """
    for section, key, value in sorted(changes, key=lambda change: change[1] not in _NAMES):
        _override(table, section, key, value)


def parse_override(text: str) -> Change:
    """Reads "section.key=value".

    Raises:
        ConfigError: it has another form.
    """
    dotted, separator, written = text.partition("=")
    section, dot, key = dotted.strip().partition(".")
    if not (separator and dot and section and key):
        raise ConfigError(f"--set wants section.key=value; got {text!r}")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except (ValueError, RecursionError):
        value = written.strip()
    return section, key, value


def from_table(table: Mapping[str, Any]) -> RunConfig:
    """Builds a `RunConfig` from nested tables; keys that a section does not know become options where it has them.

    Raises:
        ConfigError: a key is unknown or a value has the wrong type or range.
    """
    sections = RunConfig.sections()
    built: dict[str, Any] = {}
    for name, values in table.items():
        if name not in sections:
            raise ConfigError(f"{name}: no such section; {suggestion(name, sections)}")
        if not isinstance(values, Mapping):
            raise ConfigError(f"{name}: must be a section, [{name}]; got {values!r}")
        built[name] = _section(sections[name], values)
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
    values = asdict(config)
    table = {
        name: {entry.name: values[name][entry.name] for entry in fields(section) if constraint_of(entry).hashed}
        for name, section in RunConfig.sections().items()
    }
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _override(table: dict[str, Any], section: str, key: str, value: Any) -> None:
    target = table.setdefault(section, {})
    if not isinstance(target, dict):
        raise ConfigError(f"{section}: must be a section, [{section}]; got {target!r}")
    known = RunConfig.sections().get(section)
    if key in _NAMES and known is not None and known.takes_options() and target.get(key) != value:
        for own in set(target) - known.known_keys():
            del target[own]
    target[key] = value


def _section(section: type[Section], values: Mapping[str, Any]) -> Section:
    known = section.known_keys()
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in values.items():
        if key in known:
            arguments[key] = value
        elif section.takes_options() and key != "options":
            options[key] = value
        else:
            raise ConfigError(f"{section.title()}.{key}: no such key; {suggestion(key, known)}")
    if section.takes_options():
        arguments["options"] = options
    return section(**arguments)
