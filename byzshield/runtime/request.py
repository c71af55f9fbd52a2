"""What a Python program asks for, as a configuration and the objects that stand in for some of it."""

import copy
import inspect
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, TypedDict

from torch import nn

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Aggregator, PreAggregator
from byzshield.attacks import ATTACKS, Attack
from byzshield.config import RunConfig, dump, from_table
from byzshield.config.load import Change, override, read_run_file
from byzshield.config.values import require_expressible
from byzshield.data import TrainingData, training_data_of
from byzshield.errors import ConfigError
from byzshield.objectives import Objective
from byzshield.placement import Assignment
from byzshield.registry import Registry
from byzshield.representation import constructor_values
from byzshield.runtime.objectives import build_objective
from byzshield.runtime.objects import Objects
from byzshield.suggestion import suggestion

__all__ = ["Parts", "Run", "read_request"]

Run = str | Path | RunConfig | Mapping[str, Any] | None
Table = Mapping[str, Any]
DEFAULT_PLACEMENT: Final = {"scheme": "mols", "load": 5, "replication": 3}  # where neither a run file nor the program has one
NAMING: Final = {"aggregation": "rule", "placement": "scheme"}  # the keys that name a component; "name" in other sections
EXAMPLES: Final = {
    "optimizer": ', such as {"name": "Adam", "lr": 0.001}',
    "schedule": ', such as {"name": "StepLR", "step_size": 10}, or a function of the number of updates that gives a factor',
}
PLACES: Final = {  # of what is one key of a run file
    "num_byzantine": ("attack", "num_byzantine"),
    "steps": ("run", "steps"),
    "epochs": ("run", "epochs"),
    "batch_size": ("data", "batch_size"),
    "seed": ("run", "seed"),
    "name": ("run", "name"),
    "output_dir": ("run", "output_dir"),
}


class Parts(TypedDict, total=False):
    """What stands in place of parts of a run file, and any other of its sections as a table of its keys, or a name."""

    model: nn.Module | Callable[[], nn.Module] | str | Table
    train: Any
    test: Any
    collate: Callable[[list[Any]], Any]
    loss: Callable[[Any, Any], Any] | str | Table
    loss_of: Callable[[nn.Module, Any], Any]
    metrics: Sequence[str | Callable[..., Any]] | Table
    placement: Assignment | str | Table
    rule: Aggregator | str | Table
    pre: Sequence[PreAggregator | str | Table]
    attack: Attack | str | Table
    num_byzantine: int
    steps: int
    epochs: int
    batch_size: int
    seed: int
    name: str
    output_dir: str | Path
    optimizer: str | Table
    schedule: Callable[..., Any] | str | Table
    run: Table
    cluster: Table
    data: str | Table
    vote: str | Table
    aggregation: str | Table
    evaluation: Table


def read_request(run: Run, parts: Parts) -> tuple[RunConfig, Objects]:
    """Puts the parts that a program gives in place of those of a run file.

    Args:
        run: a run file: its path, its tables, or a `RunConfig`; None for the defaults.
        parts: what stands in their place.

    Raises:
        ConfigError: a part is unknown, or the configuration is impossible.
        DataError: data are unsound.
    """
    request = _Request(run)
    for name, value in parts.items():
        if value is not None and name not in ("test", "collate"):
            request.take(name, value, parts)
    return request.finish(parts)


class _Request:
    """Changes to the tables of a run file, and objects."""

    def __init__(self, run: Run) -> None:
        if isinstance(run, RunConfig):
            self._table = tomllib.loads(dump(run))
        elif isinstance(run, Mapping):
            self._table = {section: dict(values) for section, values in run.items()}
        else:
            self._table = {} if run is None else read_run_file(Path(run))
        self._changes: list[Change] = []
        self._objects: dict[str, Any] = {}

    def take(self, name: str, value: Any, parts: Parts) -> None:
        """Takes one part."""
        sections = RunConfig.sections()
        if name in PLACES:
            self._changes.append((*PLACES[name], str(value) if isinstance(value, Path) else value))
        elif name == "train":
            self._take_data(value, parts)
        elif name == "pre":
            self._take_pre(value)
        elif name in ("loss", "loss_of"):
            self._take_loss(name, value)
        elif name == "metrics" and not isinstance(value, Mapping):
            self._changes.append(("evaluation", "metrics", [each if isinstance(each, str) else _path_of(each) for each in value]))
        elif name == "rule" and not isinstance(value, Aggregator):
            self._set("aggregation", value)
        elif isinstance(value, Aggregator):
            self._take_rule(value)
        elif isinstance(value, Attack):
            self._objects["attack"] = value
            self._describe("attack", ATTACKS, value)
        elif isinstance(value, Assignment):
            self._take_placement(value)
        elif name == "model" and callable(value):
            self._objects["model"] = partial(copy.deepcopy, value) if isinstance(value, nn.Module) else value
            self._set("model", _path_of(value))
        elif name == "schedule":
            self._set("schedule", self._described(value))
        elif name in sections:
            self._set(name, value)
        else:
            raise ConfigError(f"{name}: no such argument; {suggestion(name, {*Parts.__annotations__, *sections})}")

    def finish(self, parts: Parts) -> tuple[RunConfig, Objects]:
        """The configuration and the objects."""
        if "placement" not in self._table and "placement" not in parts:
            self._set("placement", DEFAULT_PLACEMENT)
        override(self._table, self._changes)
        config = from_table(self._table)
        if objective := self._objective(config, parts):
            self._objects["objective"] = objective
        return config, Objects(**self._objects)

    def _set(self, section: str, value: Any) -> None:
        if isinstance(value, type):  # of torch.optim
            value = value.__name__
        if isinstance(value, str):
            value = {NAMING.get(section, "name"): value}
        if not isinstance(value, Mapping):
            example = EXAMPLES.get(section, "")
            found = " ".join(repr(value).split())  # that of an optimizer has many lines
            raise ConfigError(f"{section}: must be a table of its keys or a name{example}; got {found:.60}")
        self._changes += [(section, key, entry) for key, entry in value.items()]

    def _describe(self, section: str, registry: Registry[Any], component: object) -> None:
        entry = _entry(registry, component)
        self._set(section, {NAMING.get(section, "name"): entry.pop("name"), **entry})

    def _described(self, schedule: Any) -> Any:
        """A schedule, or a table of one, with the names of functions and classes in their place."""
        if isinstance(schedule, Mapping):
            if misplaced := [key for key, entry in schedule.items() if callable(entry) and key != "name"]:
                raise ConfigError(f"schedule.{misplaced[0]}: cannot be a function; give your own schedule as the name")
            described = {key: self._described(entry) if key == "name" else entry for key, entry in schedule.items()}
            if isinstance(parts := described.get("parts"), list | tuple):
                described["parts"] = [self._described(part) if isinstance(part, Mapping) else part for part in parts]
            return described
        if not callable(schedule):
            return schedule
        if isinstance(schedule, type) and schedule.__module__.startswith("torch."):
            return schedule.__name__
        own = self._objects.setdefault("schedules", {})
        names = (f"{_path_of(schedule)}{f' {number}' if number else ''}" for number in count())
        name = next(name for name in names if own.get(name, schedule) is schedule)
        own[name] = schedule
        return name

    def _take_placement(self, assignment: Assignment) -> None:
        self._objects["assignment"] = assignment
        sizes = {"load": assignment.load, "replication": assignment.replication}
        self._set("placement", {"scheme": assignment.scheme, **sizes})
        self._set("cluster", {"num_workers": assignment.num_workers})

    def _take_rule(self, rule: Aggregator) -> None:
        self._objects["rule"] = rule
        self._describe("aggregation", AGGREGATORS, rule)
        self._set("aggregation", {"num_corrupted": rule.num_corrupted if rule.was_told else "auto"})

    def _take_pre(self, operations: Sequence[Any]) -> None:
        entries = [_entry(PRE_AGGREGATORS, each) if isinstance(each, PreAggregator) else each for each in operations]
        self._set("aggregation", {"pre": entries})
        if all(isinstance(each, PreAggregator) for each in operations):
            self._objects["pre"] = tuple(operations)

    def _take_data(self, train: Any, parts: Parts) -> None:
        if callable(getattr(train, "train_batch", None)):
            data: TrainingData = train
        elif parts.get("test") is None:
            raise ConfigError("test: what to test with is needed, too")
        else:
            data = training_data_of(train, parts["test"], collate=parts.get("collate"))
        self._objects["data"] = data
        self._set("data", f"<{type(train).__name__} of {data.num_train} samples>")

    def _take_loss(self, name: str, loss: Any) -> None:
        if isinstance(loss, str | Mapping):
            self._set("loss", loss)
        elif not callable(loss):
            raise ConfigError(f"{name}: must be a function; got {loss!r}")
        else:
            self._set("loss", {"name": _path_of(loss), "takes": "model" if name == "loss_of" else "output"})

    def _objective(self, config: RunConfig, parts: Parts) -> Objective | None:
        """Loss and metrics, where a program has given a function for one of them."""
        loss, loss_of, metrics = parts.get("loss"), parts.get("loss_of"), parts.get("metrics")
        if loss is not None and loss_of is not None:
            raise ConfigError("loss: give loss(output, target) or loss_of(model, batch), not both")
        own_loss = next((each for each in (loss, loss_of) if callable(each)), None)
        if isinstance(metrics, Mapping) or not any(map(callable, metrics or ())):
            metrics = None
        if own_loss is None and metrics is None:
            return None
        return build_objective(config, loss=own_loss, metrics=metrics)


def _entry(registry: Registry[Any], component: object) -> dict[str, Any]:
    """A component as a table of a run file: its name and as many of its own keywords as can be written."""
    entry: dict[str, Any] = {"name": registry.name_of(type(component)) or _path_of(component)}
    for keyword, value in constructor_values(component).items():
        if value is None or keyword in registry.given:
            continue
        try:
            require_expressible(keyword, value)
        except ConfigError:
            continue
        entry[keyword] = value
    return entry


def _path_of(value: object) -> str:
    """The "module:name" of a function or class, or of an object's class; in angle brackets where it cannot be imported."""
    while isinstance(value, partial):
        value = value.func
    named = value if inspect.isroutine(value) or isinstance(value, type) else type(value)
    module, name = named.__module__, named.__qualname__
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "<Python>").stem
    path = f"{module}:{name}"
    return path if "<" not in path and "." not in name else f"<{name.rpartition('.')[2].strip('<>')}>"
