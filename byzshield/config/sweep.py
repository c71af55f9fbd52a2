"""The sweep file: a run file, what varies in it, and presets; all cells are checked when it is read."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from byzshield.config.grid import Axis, changes_of, combinations, dotted
from byzshield.config.load import configuration_hash, from_table, override, parse_override, read_run_file, read_table
from byzshield.config.schema import RunConfig
from byzshield.errors import ConfigError
from byzshield.suggestion import suggestion

__all__ = ["Cell", "Sweep", "load_sweep"]

KEYS: Final = ("base", "name", "set", "grid", "preset")
LONGEST_NAME: Final = 150


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a sweep.

    Args:
        settings: the entry of each axis, by the axis's name.
        config: its run file; run.output_dir is the sweep's folder, and run.name ends with digits of a hash of all that the
            results depend on, so that a folder never holds results of other settings.
    """

    settings: Mapping[str, Any]
    config: RunConfig

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.config.run.name

    @property
    def directory(self) -> Path:
        """Its folder."""
        return Path(self.config.run.output_dir) / self.name

    @property
    def steps(self) -> int | None:
        """Its steps; None where run.epochs is given, so that they depend on its data set."""
        return self.config.run.steps if self.config.run.epochs is None else None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep file with one of its presets.

    Args:
        name: the file's name, or what it says.
        preset: the preset, if any.
        directory: the folder of the results, <run.output_dir>/<name>.
        axes: the names of what varies.
        cells: every combination.
    """

    name: str
    preset: str | None
    directory: Path
    axes: tuple[str, ...]
    cells: tuple[Cell, ...]


def load_sweep(path: Path, *, preset: str | None = None, overrides: Iterable[str] = ()) -> Sweep:
    """Reads a sweep file, and checks the run file of every cell.

    A cell is the base run file, changed by [set], by an entry of each axis, by the preset and by `overrides`, in this order. What
    a preset or an override gives under the name of an axis takes the place of that axis.

    Args:
        path: a TOML file.
        preset: one of its presets.
        overrides: "section.key=value" for all cells.

    Raises:
        ConfigError: a file is missing or is not TOML, or a key or value is wrong, in whichever cell.
    """
    table = read_table(path)
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"{path}: {key}: no such key of a sweep file; {suggestion(key, KEYS)}")
    chosen = _preset(path, table, preset)
    fixed, grid = dotted("set", table.get("set", {})), dotted("grid", table.get("grid", {}))
    base = chosen.pop("base", table.get("base"))
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: must be the path of a run file, relative to this file; got {base!r}")
    last: dict[str, Any] = {}
    for section, key, value in map(parse_override, overrides):
        chosen.pop(f"{section}.{key}", None)
        (chosen if f"{section}.{key}" in grid else last)[f"{section}.{key}"] = value
    for name in [name for name in chosen if name in grid or "." not in name]:
        entries = chosen.pop(name)
        grid[name] = entries if isinstance(entries, list) else [entries]
    if not grid:
        raise ConfigError(f"{path}: grid: is required; it lists what varies")
    axes = [Axis.of(name, entries) for name, entries in grid.items()]
    name = _name(path, table)
    run_file, changes = read_run_file(path.parent / base), (changes_of("set", fixed), changes_of("preset", {**chosen, **last}))
    cells = []
    for settings, varied in combinations(axes):
        try:
            config = _config(run_file, [*changes[0], *varied, *changes[1]])
        except ConfigError as error:
            raise ConfigError(f"{path}: cell {_folder(settings)}: {error}") from error
        cells.append(_cell(settings, config, name))
    return Sweep(
        name=name,
        preset=preset,
        directory=Path(cells[0].config.run.output_dir),
        axes=tuple(axis.name for axis in axes),
        cells=tuple(cells),
    )


def _preset(path: Path, table: Mapping[str, Any], preset: str | None) -> dict[str, Any]:
    presets = table.get("preset", {})
    if not isinstance(presets, dict):
        raise ConfigError(f"{path}: preset: must be tables, [preset.name]; got {presets!r}")
    if preset is None:
        return {}
    if preset not in presets:
        known = suggestion(preset, presets) if presets else "it has none"
        raise ConfigError(f"{path} has no preset {preset!r}; {known}")
    return dotted(f"preset.{preset}", presets[preset])


def _name(path: Path, table: Mapping[str, Any]) -> str:
    name = table.get("name", path.stem)
    from_table({"run": {"name": name}})  # refuses what is no folder's name
    return str(name)


def _config(run_file: Mapping[str, Any], changes: list[tuple[str, str, Any]]) -> RunConfig:
    """The run file of a cell; a later change of a key takes the place of an earlier one."""
    latest = {(section, key): value for section, key, value in changes}
    if ("run", "name") in latest:
        raise ConfigError("run.name: a sweep names the folders of its cells itself")
    table = deepcopy(dict(run_file))
    override(table, [(section, key, value) for (section, key), value in latest.items()])
    return from_table(table)


def _cell(settings: Mapping[str, Any], config: RunConfig, sweep: str) -> Cell:
    run = config.run
    # A run's hash leaves out how long it is to go on.
    facts = f"{configuration_hash(config)} {run.steps} {run.epochs} {run.eval_every}"
    digits = hashlib.sha256(facts.encode()).hexdigest()[:8]
    output = os.path.join(os.path.expanduser(run.output_dir), sweep)
    run = replace(run, name=f"{_folder(settings)[:LONGEST_NAME]}-{digits}", output_dir=output)
    return Cell(settings=settings, config=replace(config, run=run))


def _folder(settings: Mapping[str, Any]) -> str:
    """The settings as a part of a folder's name that no shell has to quote: MOLS-num_byzantine=3-seed=1."""
    words = []
    for axis, label in settings.items():
        text = label if isinstance(label, str) else json.dumps(label, default=str)
        words.append(text if "." not in axis else f"{axis.rpartition('.')[2]}={text}")
    return re.sub(r"[^\w.+=-]+", "_", "-".join(words), flags=re.ASCII).lstrip(".")
