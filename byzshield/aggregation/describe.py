"""What there is to know about a rule before using it, as plain data."""

import inspect
from typing import Any

from byzshield.aggregation.contract import AGGREGATORS, PRE_AGGREGATORS, Aggregator, RowOperation

__all__ = ["describe"]


def describe(name: str) -> dict[str, Any]:
    """Describes a rule or a pre-aggregator.

    Args:
        name: as registered, or "module:Class" for a rule of one's own.

    Returns:
        `name`, `kind` ("aggregator" or "pre-aggregator"), `class`, `summary`, `parameters` (each with `name`, `type`, `default`),
        `minimum` rows, `breakdown` point, `cost`, `paper`, and for aggregators `coordinate_wise`.

    Raises:
        ConfigError: the name is unknown.
    """
    if name in PRE_AGGREGATORS.names():
        return _facts(name, "pre-aggregator", PRE_AGGREGATORS.get(name))
    rule: type[Aggregator] = AGGREGATORS.get(name)
    return {**_facts(name, "aggregator", rule), "coordinate_wise": rule.coordinate_wise}


def _facts(name: str, kind: str, operation: type[RowOperation]) -> dict[str, Any]:
    paragraph = (inspect.getdoc(operation) or "").split("\n\n")[0]
    return {
        "name": name,
        "kind": kind,
        "class": operation.__name__,
        "summary": " ".join(paragraph.split()),
        "parameters": [
            {"name": parameter.name, "type": inspect.formatannotation(parameter.annotation), "default": parameter.default}
            for parameter in inspect.signature(operation).parameters.values()
        ],
        "minimum": operation.minimum,
        "breakdown": operation.breakdown,
        "cost": operation.cost,
        "paper": operation.paper,
    }
