"""The run file: TOML goes in, a frozen `RunConfig` comes out; wrong keys and values are named by their dotted path."""

from byzshield.config.load import configuration_hash, dump, from_table, load
from byzshield.config.schema import RunConfig

__all__ = ["RunConfig", "configuration_hash", "dump", "from_table", "load"]
