"""The run file: TOML goes in, a frozen `RunConfig` comes out; wrong keys and values are named by their dotted path."""

from byzshield.config.load import configuration_hash, dump, from_table, load
from byzshield.config.resuming import differences, resume_hash
from byzshield.config.schema import RunConfig
from byzshield.config.sweep import Cell, Sweep, load_sweep

__all__ = [
    "Cell",
    "RunConfig",
    "Sweep",
    "configuration_hash",
    "differences",
    "dump",
    "from_table",
    "load",
    "load_sweep",
    "resume_hash",
]
