"""What of a configuration may change when a run goes on from its checkpoint, and in what two of them differ."""

import hashlib
import json
from dataclasses import fields
from typing import Any

from byzshield.config.schema import RunConfig
from byzshield.config.section import constraint_of

__all__ = ["differences", "resume_hash"]


def resume_hash(config: RunConfig) -> str:
    """A hash of what a run must keep when it goes on: all that results depend on, but how the server moves the parameters.

    What has its default does not count, so that a version with more keys takes up the checkpoints of one with fewer.
    """
    changed = {key: here for key, (_, here) in differences(RunConfig(), config, kept=True).items()}
    return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()


def differences(first: RunConfig, second: RunConfig, *, kept: bool) -> dict[str, tuple[Any, Any]]:
    """Both values of each dotted key that differs; None stands for one that is not set.

    Args:
        first: a configuration.
        second: another one.
        kept: whether to look at what a run must keep when it goes on, or at all that results depend on.
    """
    ours, theirs = _by_key(first, kept=kept), _by_key(second, kept=kept)
    pairs = {key: (ours.get(key), theirs.get(key)) for key in sorted(ours | theirs)}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _by_key(config: RunConfig, *, kept: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, section in RunConfig.sections().items():
        for entry in fields(section):
            constraint, value = constraint_of(entry), getattr(getattr(config, name), entry.name)
            if not constraint.hashed:
                continue
            if kept and constraint.fixed:
                value = [{key: table[key] for key in constraint.fixed if key in table} for table in value]
            elif kept and constraint.may_change:
                continue
            own = value if entry.name == "options" else {entry.name: value}
            found |= {f"{name}.{key}": each for key, each in own.items()}
    return found
