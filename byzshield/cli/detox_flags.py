"""The flags of the published DETOX and ByzShield code, each with what it sets here; `byzshield detox --help` is made of them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["FLAGS", "Flag", "add_flags"]


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag of the published code.

    Args:
        name: without the dashes.
        default: its published value if it is left out.
        sets: the keys of the run file that it sets; empty if it is accepted and has no effect, as there.
        help: what it means.
        type: of its value.
        metavar: of its value; "" for a flag that takes none.
    """

    name: str
    default: Any
    sets: str = ""
    help: str
    type: Callable[[str], Any] = str
    metavar: str = "N"


FLAGS: Final = (
    Flag(
        name="approach",
        default="maj_vote",
        metavar="NAME",
        sets="placement.scheme",
        help="baseline, maj_vote (DRACO's repetition code), cyclic (DRACO's cyclic code), draco_lite (DETOX), draco_lite_attack "
        "(DETOX under --detox-attack), mols, rama_one or rama_two",
    ),
    Flag(name="group-size", default=5, type=int, sets="placement.replication", help="r, workers a file; cyclic has 2 q + 1"),
    Flag(name="rama-m", default=-1, type=int, sets="placement.m", help="m of rama_two"),
    Flag(
        name="mode",
        default="normal",
        metavar="NAME",
        sets="aggregation.rule",
        help="with baseline: normal (mean), coord-median, bulyan, multi-krum, sign-sgd, geometric_median or krum; with maj_vote "
        "and cyclic: normal or maj_vote (both the mean of what wins or is decoded); with the others: coord-median, bulyan, "
        "multi-krum or sign-sgd",
    ),
    Flag(
        name="bucket-size",
        default=0,
        type=int,
        sets="aggregation.num_buckets",
        help="the number of buckets of coord-median, multi-krum and sign-sgd behind a vote; 0 for none",
    ),
    Flag(name="worker-fail", default=2, type=int, sets="attack.num_byzantine", help="q"),
    Flag(
        name="err-mode",
        default="rev_grad",
        metavar="NAME",
        sets="attack.name",
        help="rev_grad, constant, foe (-100 times the mean of the honest copies) or random (nothing is changed, as there)",
    ),
    Flag(
        name="adversarial",
        default=-100,
        type=float,
        sets="attack.scale or attack.value",
        help="the factor of rev_grad and the value of constant; there, they are -100 whatever it says",
    ),
    Flag(
        name="lis-simulation",
        default="None",
        metavar="WORD",
        sets="attack.name",
        help="simulate: ALIE, mean + 1.0 standard deviation over all copies, in place of --err-mode; any other word: off",
    ),
    Flag(
        name="byzantine-gen",
        default="random",
        metavar="NAME",
        sets="attack.selection",
        help="random (other workers in each step) or hard_coded (a worst set of this placement; there, a table by K and q)",
    ),
    Flag(
        name="detox-attack",
        default="worst",
        metavar="NAME",
        sets="attack.selection",
        help="worst, benign or whole_group: who is Byzantine with draco_lite_attack",
    ),
    Flag(
        name="network",
        default="LeNet",
        metavar="NAME",
        sets="model.name",
        help="LeNet or FC for MNIST; ResNet18, ResNet34, ResNet50, ResNet101, ResNet152, DenseNet, VGG11, VGG13, VGG16 or VGG19 "
        "for the others",
    ),
    Flag(
        name="dataset",
        default="MNIST",
        metavar="NAME",
        sets="data.name, data.augment",
        help="MNIST, Cifar10, SVHN or Cifar100; all but MNIST are cropped and flipped",
    ),
    Flag(
        name="batch-size",
        default=128,
        type=int,
        sets="data.batch_size",
        help="samples a step of all files with mols, rama_one and rama_two; of a group with maj_vote and draco_lite, so that a "
        "step has K/r times as many; of a worker with baseline and of a file with cyclic, so that a step has K times as many",
    ),
    Flag(name="max-steps", default=10000, type=int, sets="run.steps", help="training steps"),
    Flag(
        name="epochs",
        default=100,
        type=int,
        sets="run.steps",
        help="at most so often (training samples // batch-size) steps",
    ),
    Flag(name="lr", default=0.01, type=float, metavar="LR", sets="optimizer.lr", help="the learning rate at the start"),
    Flag(name="momentum", default=0.5, type=float, metavar="M", sets="optimizer.momentum", help="SGD's momentum"),
    Flag(
        name="gamma",
        default=1.0,
        type=float,
        sets="schedule.gamma",
        help="the rate of step t is lr * gamma^(t // lr-step); the factor of the decay",
    ),
    Flag(name="lr-step", default=10**17, type=int, sets="schedule.step_size", help="steps between two decays"),
    Flag(
        name="eval-freq",
        default=50,
        type=int,
        sets="run.eval_every, run.checkpoint_every",
        help="steps between two checkpoints, each with an evaluation",
    ),
    Flag(
        name="train-dir",
        default="output/models/",
        metavar="DIR",
        sets="run.output_dir, run.name",
        help="the run's folder, with config.toml, metrics.jsonl and checkpoints",
    ),
    Flag(
        name="checkpoint-step",
        default=0,
        type=int,
        sets="run.start_from, run.start_step",
        help="go on behind this step, from model_step_N in --train-dir, as the published code writes it, or from our newest "
        "checkpoint if that is its; 0 begins",
    ),
    Flag(
        name="compress-grad",
        default="compress",
        metavar="WORD",
        sets="cluster.compression",
        help="compress or none (the published code understands None): whether to compress what is sent",
    ),
    Flag(name="seed", default=1, type=int, metavar="S", sets="run.seed", help="of everything random; there, it has no effect"),
    Flag(
        name="log-interval", default=0, type=int, sets="metrics.log_every", help="steps between two lines of the log; 0 logs none"
    ),
    Flag(name="test-batch-size", default=100, type=int, help="no effect: results do not depend on it"),
    Flag(
        name="no-cuda",
        default=False,
        metavar="",
        help="no effect: the CPU computes, as there; --set cluster.device=cuda changes that",
    ),
    Flag(name="num-aggregate", default=5, type=int, help="no effect: the server waits for all votes"),
    Flag(name="comm-type", default="Bcast", metavar="NAME", help="no effect"),
    Flag(name="local-remote", default="remote", metavar="WORD", help="no effect: byzshield data prepare NAME fetches a data set"),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds all of them, in a group whose help says what each sets."""
    group = parser.add_argument_group(
        "flags of the published code", "Behind the arrow stands the key of the run file that a flag sets."
    )
    for flag in FLAGS:
        words = flag.help + (f" -> {flag.sets}" if flag.sets else "")
        if flag.metavar:
            words += f" (default {flag.default})"
            group.add_argument(f"--{flag.name}", type=flag.type, default=flag.default, metavar=flag.metavar, help=words)
        else:
            group.add_argument(f"--{flag.name}", action="store_true", help=words)
