"""Measures how many single bits that turn in a worker's memory are found, and whether the right worker is convicted.

    python benchmarks/bench_bitflips.py --preset smoke|full [--json]

A run of the real server and workers in one process, in which one of five workers computes with a wrong bit: in a weight, in what
a layer puts out, or in the gradient; once, or from then on (a bit that is stuck). It computes each gradient without the fault as
well, so that flips that change no bit of any gradient are counted apart: they harm nothing, and nothing can show them. Intervals
are Wilson's, of 95 %.
"""

import argparse
import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import sqrt
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from byzshield.arrays import Float32
from byzshield.config import RunConfig, from_table
from byzshield.runtime import Builder
from byzshield.runtime.simulation import Simulation
from byzshield.seeding import generator
from byzshield.training import GradientComputer, ParameterServer, StepOutcome
from byzshield.training.gradient import Poison

Place = Literal["weights", "activations", "gradients"]
NUM_WORKERS = 5
FIRST = 2  # the step in which the bit turns
PROBATION = 4
RATE = 0.1
DEVIATIONS = 1.96  # of 95 %
DEFENSES: dict[str, dict[str, dict[str, Any]]] = {
    f"r = 1, rate {RATE:g}": {"placement": {"scheme": "baseline"}, "audit": {"rate": RATE, "probation": PROBATION}},
    "r = 2, arbitration": {
        "placement": {"scheme": "cyclic", "replication": 2},
        "audit": {"arbitrate": True, "probation": PROBATION},
    },
    "r = 3, vote alone": {"placement": {"scheme": "cyclic", "replication": 3}},
}
PRESETS = {"smoke": {"trials": 2, "steps": 3}, "full": {"trials": 40, "steps": 12}}


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A bit that is wrong.

    Args:
        place: where it is.
        sticky: whether it has one value for good, from step FIRST on; if not, it turns in the first gradient of that step.
        bit: of a float32, from 0, the lowest of the mantissa, to 31, the sign.
        position: which number, as a share of all.
        layer: which layer's output, as a share of all.
        value: what a stuck bit is.
    """

    place: Place
    sticky: bool
    bit: int
    position: float
    layer: float
    value: bool

    @classmethod
    def draw(cls, place: Place, sticky: bool, rng: np.random.Generator) -> "Flip":
        """A bit of which each is as likely as any other."""
        bit, value = int(rng.integers(32)), bool(rng.integers(2))
        return cls(place=place, sticky=sticky, bit=bit, position=rng.random(), layer=rng.random(), value=value)

    def apply(self, values: torch.Tensor) -> None:
        """Turns the bit among numbers, float32 [n], in place."""
        words = values.view(torch.int32)
        index, mask = int(self.position * len(words)), int(np.uint32(1 << self.bit).view(np.int32))
        if not self.sticky:
            words[index] ^= mask
        elif self.value:
            words[index] |= mask
        else:
            words[index] &= ~mask


@dataclass
class FaultyComputer:
    """Computes gradients as a worker does whose memory has a wrong bit.

    Args:
        computer: what computes them right; it is nobody else's.
        flip: the bit.

    `wrong_at` has the steps in which a gradient differed from the right one.
    """

    computer: GradientComputer
    flip: Flip
    wrong_at: set[int] = field(default_factory=set, init=False)
    _turned: bool = field(default=False, init=False)

    @property
    def num_parameters(self) -> int:
        return self.computer.num_parameters

    @property
    def size(self) -> int:
        return self.computer.size

    @property
    def seconds(self) -> float:
        return self.computer.seconds

    def load_by(self, write: Callable[[Float32], None]) -> None:
        self.computer.load_by(write)

    def __call__(self, step: int, file: int, poison: Poison | None = None) -> Float32:
        right = self.computer(step, file, poison)
        if step < FIRST or (self._turned and not self.flip.sticky):
            return right
        self._turned = True
        with self._turned_bit():
            wrong = self.computer(step, file, poison)
        if self.flip.place == "gradients":
            self.flip.apply(torch.from_numpy(wrong[: self.num_parameters]))
        if wrong.tobytes() != right.tobytes():
            self.wrong_at.add(step)
        return wrong

    or_nan = __call__  # nothing else fails here

    @contextlib.contextmanager
    def _turned_bit(self) -> Iterator[None]:
        model = self.computer._model
        if self.flip.place == "weights":
            before = model.parameters.clone()
            self.flip.apply(model.parameters)
            yield
            model.parameters.copy_(before)
        elif self.flip.place == "activations":
            layers = [layer for layer in model.module.modules() if not list(layer.children())]
            handle = layers[int(self.flip.layer * len(layers))].register_forward_hook(self._turn_output)
            yield
            handle.remove()
        else:
            yield

    def _turn_output(self, layer: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        turned = output.clone(memory_format=torch.contiguous_format)
        self.flip.apply(turned.detach().view(-1))
        return turned


def _config(sections: dict[str, dict[str, Any]]) -> RunConfig:
    return from_table(
        {
            "run": {"name": "bitflips", "steps": 1000},
            "cluster": {"num_workers": NUM_WORKERS},
            "data": {"name": "mnist5k", "batch_size": 20},
            "model": {"name": "lenet"},
            "aggregation": {"rule": "median", "num_corrupted": 1},  # which keeps training, whatever one file is
            "optimizer": {"name": "SGD", "lr": 0.05},
            **sections,
        }
    )


@dataclass(frozen=True)
class Bench:
    """A run that is begun again for each trial.

    Args:
        config: the run file.
    """

    config: RunConfig

    @cached_property
    def honest(self) -> Builder:
        """What builds the server and all workers but one."""
        builder = Builder(self.config, num_ranks=NUM_WORKERS + 1)
        builder.set_threads()
        return builder

    @cached_property
    def own_computer(self) -> GradientComputer:
        """The computer of the one that fails."""
        return Builder(self.config).computer

    def trial(self, flip: Flip, worker: int, most_steps: int) -> dict[str, Any]:
        """Trains for so many steps with the wrong bit, or until somebody is accused and has served its probation."""
        audited = self.config.audit.enabled
        computer = FaultyComputer(self.own_computer, flip)
        faulty = Builder(self.config, num_ranks=NUM_WORKERS + 1)
        vars(faulty)["computer"] = computer  # which it would otherwise build
        builders = [faulty if one == worker else self.honest for one in range(NUM_WORKERS)]
        server = self.honest.server()
        simulation = Simulation(server, {one + 1: builder.worker(one + 1) for one, builder in enumerate(builders)})
        accused: set[int] = set()
        while server.step < FIRST - 1 + most_steps and not accused:
            _step(simulation, server, accused, audited=audited)
        found = {"accused": sorted(accused), "steps": server.step - FIRST + 1, "wrong_steps": len(computer.wrong_at)}
        after = [_step(simulation, server, accused, audited=True) for _ in range(PROBATION + 1 if accused and audited else 0)]
        return {**found, "back": any(worker in outcome.returned for outcome in after)}


def _step(simulation: Simulation, server: ParameterServer, accused: set[int], *, audited: bool) -> StepOutcome:
    """Plays a step; adds whom it convicts or, where nobody is ever convicted, whom it blames."""
    simulation.run_round()
    convictions = server.take_convictions() if audited else []
    outcome = server.close_round(server.aggregate())
    accused |= {proof.worker for proof in convictions} if audited else set(map(int, outcome.blamed))
    return outcome


def _measure(preset: str) -> dict[str, Any]:
    chosen = PRESETS[preset]
    rows = []
    for name, sections in DEFENSES.items():
        bench = Bench(_config(sections))
        for place in get_args(Place):
            for sticky in (False, True):
                rng = generator(0, f"bench_bitflips {place}", sticky)
                trials = []
                for _ in range(chosen["trials"]):
                    worker, flip = int(rng.integers(NUM_WORKERS)), Flip.draw(place, sticky, rng)
                    most_steps = chosen["steps"] if sticky else 1
                    trials.append({"worker": worker, **asdict(flip), **bench.trial(flip, worker, most_steps)})
                rows.append({"defense": name, "place": place, "sticky": sticky, **_summarize(trials)})
    return {"preset": preset, "rate": RATE, "num_workers": NUM_WORKERS, "probation": PROBATION, **chosen, "rows": rows}


def _summarize(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """What was found among flips that changed a gradient, and how many of the accused had the wrong bit."""
    harmful = [trial for trial in trials if trial["wrong_steps"]]
    found = [trial for trial in harmful if trial["accused"]]
    right = [trial for trial in found if trial["accused"] == [trial["worker"]]]
    return {
        "trials": len(trials),
        "harmless": len(trials) - len(harmful),
        "recall": _share(len(found), len(harmful)),
        "found_a_wrong_step": _share(len(found), sum(trial["wrong_steps"] for trial in harmful)),
        "attribution": _share(len(right), len(found)),
        "accused_without_harm": sum(bool(trial["accused"]) for trial in trials if not trial["wrong_steps"]),
        "steps_median": float(np.median([trial["steps"] for trial in found])) if found else None,
        "back": _share(sum(trial["back"] for trial in found), len(found)),
    }


def _share(part: int, whole: int) -> dict[str, Any] | None:
    """A share with its Wilson interval; None of nothing."""
    if not whole:
        return None
    share, term = part / whole, DEVIATIONS**2 / whole
    center, half = (share + term / 2) / (1 + term), DEVIATIONS * sqrt(share * (1 - share) / whole + term / whole / 4) / (1 + term)
    return {"share": share, "low": max(0.0, center - half), "high": min(1.0, center + half), "of": whole}


def _table(document: dict[str, Any]) -> str:
    def share(found: dict[str, Any] | None) -> str:
        return "-" if found is None else f"{found['share']:.2f} ({found['low']:.2f} to {found['high']:.2f})"

    columns = {
        "defense": lambda row: row["defense"],
        "where": lambda row: row["place"],
        "bit": lambda row: "stuck" if row["sticky"] else "once",
        "flips": lambda row: row["trials"],
        "harmless": lambda row: row["harmless"],
        "found": lambda row: share(row["recall"]),
        "found a wrong step": lambda row: share(row["found_a_wrong_step"]),
        "right worker, alone": lambda row: share(row["attribution"]),
        "back after probation": lambda row: share(row["back"]) if "vote" not in row["defense"] else "-",
    }
    lines = [
        list(columns),
        ["---"] * len(columns),
        *([str(value(row)) for value in columns.values()] for row in document["rows"]),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Runs a preset and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    logging.getLogger("byzshield").setLevel(logging.ERROR)
    document = _measure(arguments.preset)
    print(json.dumps(document) if arguments.json else _table(document))


if __name__ == "__main__":
    main()
