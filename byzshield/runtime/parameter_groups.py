"""Which parameters of a network have keywords of their own at the optimizer, as parts of its flat vector."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import torch

from byzshield.errors import ConfigError
from byzshield.models import FlatModel
from byzshield.suggestion import suggestion

__all__ = ["SELECTORS", "own_keywords", "parameter_groups"]

SELECTORS: Final = ("match", "max_ndim")


def own_keywords(group: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of optimizer.groups says to the optimizer, without what says which parameters it is for."""
    return {key: value for key, value in group.items() if key not in SELECTORS}


def parameter_groups(groups: Sequence[Mapping[str, Any]], model: FlatModel) -> list[list[torch.nn.Parameter]]:
    """Splits the parameters into those of no group, and of each group.

    Neighbors in the flat vector are one parameter here, so that without groups there is one, and an optimizer that looks at each
    number alone gives the same bits however they are split. All lie in the memory of `model.parameters`.

    Args:
        groups: the tables of optimizer.groups.
        model: whose parameters they match.

    Raises:
        ConfigError: a pattern matches no parameter, or a group has none.
    """
    names = list(model.slices)
    chosen = dict.fromkeys(names, 0)
    for index, group in enumerate(groups):
        dotted = f"optimizer.groups[{index}]"
        taken = [name for name in names if _takes(group, name, model.module.get_parameter(name))]
        for pattern in group.get("match", []):
            if not any(fnmatchcase(name, pattern) for name in names):
                near = suggestion(pattern.replace("*", ""), names)
                raise ConfigError(f"{dotted}.match: no parameter's name fits {pattern!r}; {near}")
        own = [name for name in taken if not chosen[name]]
        if not own:
            reason = f"{len(taken)} parameters fit, and earlier groups have them all" if taken else "no parameter fits"
            raise ConfigError(f"{dotted}: {reason}; leave it out, or change what it asks for")
        chosen.update(dict.fromkeys(own, index + 1))
    parts: list[list[torch.nn.Parameter]] = [[] for _ in range(1 + len(groups))]
    for number, run in _runs(chosen, model.slices):
        parts[number].append(torch.nn.Parameter(model.parameters[run]))
    return parts


def _takes(group: Mapping[str, Any], name: str, parameter: torch.Tensor) -> bool:
    fits = any(fnmatchcase(name, pattern) for pattern in group["match"]) if "match" in group else True
    return fits and parameter.ndim <= group.get("max_ndim", parameter.ndim)


def _runs(chosen: Mapping[str, int], slices: Mapping[str, slice]) -> list[tuple[int, slice]]:
    """The group and the place of each longest run of neighbors that are in one group."""
    runs: list[tuple[int, slice]] = []
    for name, number in chosen.items():
        part = slices[name]
        if runs and runs[-1][0] == number:
            runs[-1] = (number, slice(runs[-1][1].start, part.stop))
        else:
            runs.append((number, part))
    return runs
