"""The run file that a command line of the published DETOX and ByzShield code amounts to."""

import argparse
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from byzshield.config import RunConfig
from byzshield.distortion import worst_case
from byzshield.errors import ConfigError
from byzshield.placement import Assignment, build
from byzshield.suggestion import suggestion

__all__ = ["DATASETS", "NETWORKS", "RunFile", "chosen", "run_file"]

T = TypeVar("T")
Table = dict[str, Any]


class PublishedDataset(NamedTuple):
    """A data set of the published code: our name, training samples, and channels of its images."""

    name: str
    num_train: int
    channels: int


APPROACHES: Final = {
    "baseline": "baseline",
    "maj_vote": "frc",
    "draco_lite": "frc",
    "draco-lite": "frc",
    "draco_lite_attack": "frc",
    "cyclic": "cyclic",
    "mols": "mols",
    "rama_one": "ramanujan1",
    "rama_two": "ramanujan2",
}
DATASETS: Final = {
    "MNIST": PublishedDataset("mnist", 60_000, 1),
    "Cifar10": PublishedDataset("cifar10", 50_000, 3),
    "SVHN": PublishedDataset("svhn", 73_257, 3),
    "Cifar100": PublishedDataset("cifar100", 50_000, 3),
}
NETWORKS: Final = {
    "LeNet": "lenet_byzshield",
    "FC": "fc",
    "ResNet18": "resnet18",
    "ResNet34": "resnet34",
    "ResNet50": "resnet50",
    "ResNet101": "resnet101",
    "ResNet152": "resnet152",
    "DenseNet": "densenet121",
    "VGG11": "vgg11_bn",
    "VGG13": "vgg13_bn",
    "VGG16": "vgg16_bn",
    "VGG19": "vgg19_bn",
}
FOR_MNIST: Final = ("LeNet", "FC")
RULES: Final = {
    "normal": "mean",
    "maj_vote": "mean",
    "coord-median": "median",
    "bulyan": "bulyan_byzshield",
    "multi-krum": "multi_krum",
    "sign-sgd": "sign_majority",
    "geometric_median": "geometric_median",
    "krum": "krum",
}
MODES: Final = {  # those that an approach has
    "baseline": ("normal", "coord-median", "bulyan", "multi-krum", "sign-sgd", "geometric_median", "krum"),
    "maj_vote": ("normal", "maj_vote"),
    "cyclic": ("normal", "maj_vote"),
}
MODES_BEHIND_A_VOTE: Final = ("coord-median", "bulyan", "multi-krum", "sign-sgd")
BUCKETED: Final[dict[str, Table]] = {
    "coord-median": {"rule": "median_of_means"},
    "multi-krum": {"rule": "bucketed", "inner": "multi_krum", "outer": "mean"},
    "sign-sgd": {"rule": "bucketed", "inner": "sign_majority", "outer": "sign_majority"},
}
DEPEND_ON_CORRUPTED: Final = ("bulyan", "multi-krum", "krum")
ERR_MODES: Final = ("rev_grad", "constant", "foe", "random")
SELECTIONS: Final = {"random": "random", "hard_coded": "worst"}
DETOX_ATTACKS: Final = {name: f"detox_{name}" for name in ("worst", "benign", "whole_group")}
COMPRESSION: Final = {"compress": "on", "none": "off", "None": "off"}
PUBLISHED_ERROR: Final = -100  # what rev_grad and constant do there, whatever --adversarial says
FOE: Final = {"name": "fall_of_empires", "epsilon": 100.0, "weighting": "honest_copies"}
ALIE: Final = {"name": "alie", "z": 1.0, "sign": 1}


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """What the flags amount to.

    Args:
        tables: the run file.
        notes: what a reader of the flags would not expect, a sentence each.
    """

    tables: dict[str, Table]
    notes: list[str] = field(default_factory=list)


def run_file(flags: argparse.Namespace, *, num_workers: int | None = None) -> RunFile:
    """Maps the flags of the published code, with their published meanings, to a run file.

    Args:
        flags: one attribute a flag of `detox_flags.FLAGS`.
        num_workers: K; None takes the fewest workers with which the published code runs this placement, where that is certain.

    Raises:
        ConfigError: a value does not exist, or the published code could not run the combination.
        PlacementError: no such placement exists.
    """
    notes: list[str] = []
    chosen("--approach", flags.approach, APPROACHES)
    if num_workers is None:
        num_workers = _published_workers(flags)
        notes.append(f"{num_workers} workers, as in the published runs of this --group-size; --workers changes that")
    placement = _placement(flags)
    assignment = build(num_workers=num_workers, **placement)
    dataset = chosen("--dataset", flags.dataset, DATASETS)
    tables = {
        "run": _run(flags, dataset, notes),
        "cluster": {"num_workers": num_workers, "compression": chosen("--compress-grad", flags.compress_grad, COMPRESSION)},
        "data": {
            "name": dataset.name,
            "batch_size": _batch_size(flags, assignment, notes),
            "augment": flags.dataset != "MNIST",
        },
        "model": {"name": _network(flags, dataset)},
        "placement": placement,
        "aggregation": _aggregation(flags, notes),
        "optimizer": {"name": "SGD", "lr": flags.lr, "momentum": flags.momentum},
    }
    if flags.approach == "cyclic":
        tables["cluster"]["exchange"] = "coded"
    if attack := _attack(flags, notes):
        tables["attack"] = attack
    elif flags.worker_fail and flags.mode in DEPEND_ON_CORRUPTED:  # it is told of the workers, though they do nothing
        worst = worst_case(assignment, num_byzantine=flags.worker_fail)
        tables["aggregation"]["num_corrupted"] = worst.upper_bound
    if flags.gamma != 1:
        if not flags.gamma > 0:
            raise ConfigError(f"--gamma: must be positive; got {flags.gamma:g}")
        step_size = _at_least("--lr-step", flags.lr_step, 1)
        tables["schedule"] = {"name": "exponential_steps", "gamma": flags.gamma, "step_size": step_size}
    if flags.log_interval:
        tables["metrics"] = {"log_every": flags.log_interval}
    return RunFile(tables={name: tables[name] for name in RunConfig.sections() if name in tables}, notes=notes)


def chosen(flag: str, value: str, values: Mapping[str, T]) -> T:
    """What a flag's value stands for.

    Raises:
        ConfigError: it has no such value.
    """
    if value not in values:
        raise ConfigError(f"{flag}: there is no {value!r}; {suggestion(value, values)}")
    return values[value]


def _published_workers(flags: argparse.Namespace) -> int:
    size = _at_least("--group-size", flags.group_size, 1)
    if flags.approach in ("mols", "rama_one"):  # r l workers, l a prime that is greater than r
        return size * next(number for number in itertools.count(size + 1) if _is_prime(number))
    if flags.approach == "rama_two":
        return size * size
    raise ConfigError(f"--workers: is required with --approach {flags.approach}, unless mpirun -n K+1 starts the K workers")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def _placement(flags: argparse.Namespace) -> Table:
    placement: Table = {"scheme": APPROACHES[flags.approach]}
    if flags.approach == "cyclic":  # the code of DRACO for so many liars, whatever --group-size says
        placement["replication"] = 2 * _at_least("--worker-fail", flags.worker_fail, 0) + 1
    elif flags.approach != "baseline":
        placement["replication"] = _at_least("--group-size", flags.group_size, 1)
    if flags.approach == "rama_two":
        placement["m"] = _at_least("--rama-m", flags.rama_m, 1)
    return placement


def _run(flags: argparse.Namespace, dataset: PublishedDataset, notes: list[str]) -> Table:
    folder = Path(flags.train_dir)
    if folder.name in ("", ".."):
        folder = folder.resolve()
    cap = _at_least("--epochs", flags.epochs, 1) * (dataset.num_train // _at_least("--batch-size", flags.batch_size, 1))
    steps = _at_least("--max-steps", flags.max_steps, 1)
    if cap < steps:
        if not cap:
            raise ConfigError(f"--batch-size: must not exceed the {dataset.num_train} training samples; got {flags.batch_size}")
        notes.append(f"--epochs {flags.epochs} ends the run after {cap} steps; there, the server would wait for ever")
        steps = cap
    every = _at_least("--eval-freq", flags.eval_freq, 1)
    run: Table = {"name": folder.name, "output_dir": str(folder.parent), "seed": flags.seed, "steps": steps}
    run |= {"eval_every": every, "checkpoint_every": every}
    start = _at_least("--checkpoint-step", flags.checkpoint_step, 0)
    if start >= steps:
        raise ConfigError(f"--checkpoint-step: must be less than the {steps} steps of the run; got {start}")
    if start:
        run |= {"start_from": str(folder / f"model_step_{start}"), "start_step": start}
    return run


def _batch_size(flags: argparse.Namespace, assignment: Assignment, notes: list[str]) -> int:
    """b, which the flag gives as a whole for the ByzShield schemes, and by file, that of a group or a worker, for the others."""
    size, files = flags.batch_size, assignment.num_files
    if assignment.load == 1 or flags.approach == "cyclic":
        return int(size * files)
    if size < files:
        raise ConfigError(f"--batch-size: must be at least the {files} files of {flags.approach}, one sample each; got {size}")
    if size % files:
        notes.append(
            f"{size // files * files} of {size} samples are used, {size // files} in each of the {files} files, as there"
        )
    return int(size // files * files)


def _network(flags: argparse.Namespace, dataset: PublishedDataset) -> str:
    model = chosen("--network", flags.network, NETWORKS)
    fit = [name for name in NETWORKS if (name in FOR_MNIST) == (dataset.channels == 1)]
    if flags.network not in fit:
        raise ConfigError(
            f"--network: {flags.network} could not run there on {flags.dataset}, whose images have {dataset.channels} "
            f"channel{'s' * (dataset.channels > 1)}; use {_one_of(fit)}"
        )
    return model


def _aggregation(flags: argparse.Namespace, notes: list[str]) -> Table:
    rule = chosen("--mode", flags.mode, RULES)
    approach = flags.approach
    modes = MODES.get(approach, MODES_BEHIND_A_VOTE)
    if flags.mode not in modes:
        raise ConfigError(
            f"--mode: {flags.mode} could not run there with --approach {approach}; use {_one_of(modes)}, "
            f"or --mode {modes[0]} --set aggregation.rule={rule}"
        )
    buckets = _at_least("--bucket-size", flags.bucket_size, 0)
    if approach == "maj_vote" and flags.mode == "normal":
        notes.append("the winners of the votes are averaged; there, --mode normal averages all copies without a vote")
    if approach != "baseline" and flags.mode == "coord-median" and buckets == 1:
        notes.append("the median of one bucket is the mean of all files, as there; --bucket-size 0 is for none")
        return {"rule": "mean"}
    if approach != "baseline" and flags.mode in BUCKETED and buckets:
        return {**BUCKETED[flags.mode], "num_buckets": buckets}
    return {"rule": rule}


def _attack(flags: argparse.Namespace, notes: list[str]) -> Table:
    """The section; empty if nobody attacks."""
    selections = DETOX_ATTACKS if flags.approach == "draco_lite_attack" else SELECTIONS
    flag = "--detox-attack" if flags.approach == "draco_lite_attack" else "--byzantine-gen"
    selection = chosen(flag, getattr(flags, flag[2:].replace("-", "_")), selections)
    attack = _forgery(flags)
    if flags.adversarial != PUBLISHED_ERROR and attack.get("name") in ("reversed_gradient", "constant"):
        notes.append(f"--adversarial {flags.adversarial:g} has its effect; there, it is {PUBLISHED_ERROR} whatever it says")
    if not _at_least("--worker-fail", flags.worker_fail, 0):
        return {}
    if not attack:
        notes.append("--err-mode random leaves every gradient as it is, as there, so nobody is Byzantine")
        return {}
    if attack == ALIE and flags.mode == "sign-sgd":
        notes.append("ALIE forges gradients before their signs are taken; there, it adds its statistics of signs to signs")
    return {**attack, "num_byzantine": flags.worker_fail, "selection": selection}


def _forgery(flags: argparse.Namespace) -> Table:
    """The attack and its keywords; empty for the one that does nothing."""
    mode = flags.err_mode
    chosen("--err-mode", mode, dict.fromkeys(ERR_MODES))
    if flags.lis_simulation == "simulate":
        return ALIE
    if mode == "rev_grad":
        if not flags.adversarial < 0:
            raise ConfigError(
                f"--adversarial: must be negative with rev_grad; got {flags.adversarial:g}; leave it out for {PUBLISHED_ERROR}, "
                "which it is there whatever it says"
            )
        return {"name": "reversed_gradient", "scale": -flags.adversarial}
    return {"constant": {"name": "constant", "value": flags.adversarial}, "foe": FOE, "random": {}}[mode]


def _at_least(flag: str, value: int, least: int) -> int:
    if value < least:
        raise ConfigError(f"{flag}: must be at least {least}; got {value}")
    return value


def _one_of(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
