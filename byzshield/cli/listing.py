"""`byzshield list`: what can be named in a run file."""

import argparse
import inspect
import json
from collections.abc import Callable
from typing import Any

from byzshield.registry import Registry
from byzshield.strict_json import dumps

__all__ = ["add_parser", "registry_of"]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "list",
        description="Lists what a run file can name, with its keywords and defaults. Your own component is named module:Class.",
        epilog="example: byzshield list attacks",
    )
    parser.add_argument("kind", choices=sorted(_KINDS), metavar="KIND", help=", ".join(sorted(_KINDS)))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    registry = registry_of(arguments.kind)
    rows = [_describe(arguments.kind, name, registry) for name in registry.names()]
    if arguments.json:
        print(dumps({arguments.kind: rows}))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        print(f"{row['name']:<{width}}  {row['summary']}")
        if "paper" in row:
            print(f"{'':<{width}}    {row['minimum']}; breakdown {row['breakdown']}; {row['cost']}; {row['paper']}")
        for keyword, default in row["keywords"].items():
            print(f"{'':<{width}}    {keyword} = {'(required)' if default is _REQUIRED else json.dumps(default)}")
    return 0


def registry_of(kind: str) -> Registry[Any]:
    """The registry of "placements", "attacks", ..., whose packages are imported only now."""
    return _KINDS[kind]()


_REQUIRED = "(required)"


def _describe(kind: str, name: str, registry: Registry[Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if kind.endswith("aggregators"):
        from byzshield.aggregation import describe

        described = describe(name)
        facts = {key: described[key] for key in ("minimum", "breakdown", "cost", "paper")}
    return {
        "name": name,
        "summary": (inspect.getdoc(registry.get(name)) or "").split("\n")[0],
        "keywords": {
            keyword: _REQUIRED if parameter.default is parameter.empty else parameter.default
            for keyword, parameter in registry.keywords(name).items()
        },
        **facts,
    }


def _placements() -> Registry[Any]:
    from byzshield.placement import PLACEMENTS

    return PLACEMENTS


def _aggregators() -> Registry[Any]:
    from byzshield.aggregation import AGGREGATORS

    return AGGREGATORS


def _pre_aggregators() -> Registry[Any]:
    from byzshield.aggregation import PRE_AGGREGATORS

    return PRE_AGGREGATORS


def _attacks() -> Registry[Any]:
    from byzshield.attacks import ATTACKS

    return ATTACKS


def _models() -> Registry[Any]:
    from byzshield.models import MODELS

    return MODELS


def _datasets() -> Registry[Any]:
    from byzshield.data import DATASETS

    return DATASETS


def _losses() -> Registry[Any]:
    from byzshield.objectives import LOSSES

    return LOSSES


def _metrics() -> Registry[Any]:
    from byzshield.objectives import METRICS

    return METRICS


_KINDS: dict[str, Callable[[], Registry[Any]]] = {
    "placements": _placements,
    "aggregators": _aggregators,
    "pre-aggregators": _pre_aggregators,
    "attacks": _attacks,
    "models": _models,
    "datasets": _datasets,
    "losses": _losses,
    "metrics": _metrics,
}
