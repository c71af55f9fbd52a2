"""Checks a run against its record: recomputes files, and with them whole steps, on any machine of the same arithmetic."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any, Final

from byzshield.config import RunConfig, resume_hash
from byzshield.errors import CheckpointError, ConfigError
from byzshield.runtime.builder import Builder
from byzshield.runtime.checkpoint import all_checkpoints, load_checkpoint
from byzshield.runtime.objects import Objects
from byzshield.runtime.record import aggregate_digest, commitment, effective, links, weights_digest
from byzshield.runtime.run_directory import RunDirectory
from byzshield.runtime.simulation import Simulation
from byzshield.storage import json_lines, read_json_lines
from byzshield.training import ParameterServer

__all__ = ["Finding", "Verification", "Verifier", "first_difference"]

HONEST_RANKS: Final = 2
EVERYTHING: Final = 1 << 30  # MiB


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as the record has it.

    Args:
        step: in which step, or after which.
        what: "winner" (of a file), "aggregate", "weights" or "checkpoint".
        file: the file of a winner; None for the others.
        recorded: the digest in the record, in hexadecimal; None if it has none.
        found: the digest that was found.
    """

    step: int
    what: str
    recorded: str | None
    found: str | None
    file: int | None = None

    @property
    def words(self) -> str:
        """What it means, in one line."""
        if self.what == "checkpoint" and self.found is None:
            return f"the checkpoint of step {self.step} is damaged"
        if self.what == "checkpoint":
            return f"the checkpoint of step {self.step} has other weights than the record says"
        place = f"step {self.step}" + ("" if self.file is None else f", file {self.file}")
        return f"{place}: the record has {self.what} {_short(self.recorded)}, recomputed it is {_short(self.found)}"


@dataclass(kw_only=True)
class Verification:
    """What a check has found.

    Args:
        lines: lines of the record.
        broken: the first line, from 1, that does not continue the chain; None if the chain holds.
        head: the digest of all lines.
        checkpoints: how many have been compared.
        files: how many files have been recomputed.
        reached: how many of them were asked for; behind a wrong winner, weights cannot be worked out.
        steps: how many steps have been recomputed as a whole, with what the server made of their files.
        findings: what is wrong, in the order of the steps.
    """

    lines: int
    broken: int | None
    head: str
    checkpoints: int = 0
    files: int = 0
    reached: int = 0
    steps: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None and not self.findings


class Verifier:
    """Recomputes parts of a run from its run file and its checkpoints; needs no trust in who has run it.

    Only checkpoints have weights, so between two of them it plays the steps with honest workers alone, and compares each file
    that it needs on the way. Where a winner differs, the weights behind it cannot be worked out, and it goes on from the next
    checkpoint. Of the last step that it plays it computes what was asked for alone.

    Args:
        directory: of a run with a record.jsonl.
        config: its run file.
        objects: what a Python program had given in place of names.

    Raises:
        ConfigError: there is no record, or the run cannot be played again.
    """

    def __init__(self, directory: RunDirectory, config: RunConfig, *, objects: Objects | None = None) -> None:
        lines = read_json_lines(directory.record)
        if not lines:
            raise ConfigError(f"{directory.path} has no record.jsonl: train with audits, or with audit.record = true")
        # A line that cannot be read breaks the chain, also where it is the last one.
        whole = links(next(iter(json_lines(text)), {}) for text in directory.record.read_bytes().splitlines())
        self.result = Verification(
            lines=len(whole), broken=None if all(whole) else 1 + whole.index(False), head=str(lines[-1].get("chain"))
        )
        self._lines: dict[int, Mapping[str, Any]] = {line["step"]: line for line in effective(lines)}
        self._directory, self._hash = directory, resume_hash(config)
        self._starts: dict[int, Path | None] = {}  # from where steps can be played: the checkpoint, or None for a new run
        if min(self._lines) == config.run.start_step:
            self._starts[config.run.start_step] = None
        honest = replace(config.audit, rate=0.0, rollback=False, probation=0)
        at_once = replace(config.aggregation, winners_mib=EVERYTHING)  # files can then be left out at the end
        self._builder = Builder(
            replace(config, audit=honest, aggregation=at_once), num_ranks=HONEST_RANKS, objects=objects or Objects()
        )

    @property
    def recorded_steps(self) -> list[int]:
        """The steps that can be checked, ascending."""
        return [step for step, line in sorted(self._lines.items()) if "winners" in line]

    @property
    def num_files(self) -> int:
        """f."""
        return self._builder.assignment.num_files

    def check_checkpoints(self) -> None:
        """Compares the weights of all checkpoints with the record."""
        for step, path in all_checkpoints(self._directory.checkpoints):
            if step not in self._lines:
                continue
            self.result.checkpoints += 1
            recorded, found = self._lines[step]["weights"], None
            with suppress(CheckpointError):
                found = weights_digest(load_checkpoint(path, configuration=self._hash)["model"])
            if found == recorded:
                self._starts[step] = path
            else:
                self._find("checkpoint", step, recorded, found)

    @property
    def everything(self) -> dict[int, list[int]]:
        """All files that have a winner, by step."""
        winners = {step: self._lines[step]["winners"] for step in self.recorded_steps}
        return {step: [file for file, winner in enumerate(won) if winner is not None] for step, won in winners.items()}

    def draw(self, share: float) -> dict[int, list[int]]:
        """Draws this share of the stretches between two checkpoints, and at least one, by numbers of the operating system.

        A stretch is what can be recomputed by itself: a file of it costs all files before it. So each file of each step is
        drawn with the probability `share` or more, together with the others of its stretch.

        Returns:
            all files of the steps that were drawn, by step.
        """
        everything = self.everything
        self._require_start(min(everything))
        stretches = [steps for begin, end in self._stretches() if (steps := [step for step in everything if begin < step <= end])]
        drawn = random.SystemRandom().sample(stretches, ceil(share * len(stretches)))
        return {step: everything[step] for step in sorted(step for steps in drawn for step in steps)}

    def check(self, wanted: Mapping[int, Iterable[int]], told: Callable[[int], None] = lambda step: None) -> None:
        """Recomputes files, by step, and all that has to be known for that, from the checkpoints that are as recorded.

        Args:
            wanted: the files of each step.
            told: is called with each step that has been played.

        Raises:
            ConfigError: a step or a file is not in the record, or there is no checkpoint before it.
        """
        for step, files in wanted.items():
            if step not in self.recorded_steps or not all(0 <= file < self.num_files for file in files):
                raise ConfigError(
                    f"step {step}, files {list(files)}: the record has the {self.num_files} files of steps "
                    f"{self.recorded_steps[0]} to {self.recorded_steps[-1]}"
                )
        self._builder.set_threads()
        if wanted:
            self._require_start(min(wanted))
        for begin, end in self._stretches():
            asked = {step: set(files) for step, files in wanted.items() if begin < step <= end}
            if asked:
                self._play(begin, asked, told)

    def _stretches(self) -> list[tuple[int, int]]:
        """From where, and up to which step, steps can be played."""
        starts = sorted(self._starts)
        return list(zip(starts, [*starts[1:], max(self._lines)], strict=bool(starts)))

    def _require_start(self, step: int) -> None:
        if step <= min(self._starts, default=step):
            raise ConfigError(f"step {step} cannot be recomputed: there is no sound checkpoint of a step before it")

    def _play(self, begin: int, asked: Mapping[int, set[int]], told: Callable[[int], None]) -> None:
        """Recomputes what is asked for of the steps behind a checkpoint, up to the first that is not as recorded."""
        server = self._builder.server()
        if (path := self._starts[begin]) is not None:
            server.load_state_dict(load_checkpoint(path, configuration=self._hash))
        simulation = Simulation(server, {1: self._builder.worker(1, honest=True)})
        if (found := weights_digest(server.state.model.module.state_dict())) != self._lines[begin]["weights"]:
            self._find("weights", begin, self._lines[begin]["weights"], found)
            return
        last = max(asked)
        parts = self._builder.code is None and not asked[last].issuperset(self.everything[last])
        while server.step < last - parts:
            simulation.run_round()
            if not self._compare(server, asked.get(server.step + 1, set())):
                return
            told(server.step)
        if parts:
            parameters = server.state.model.parameter_vector()
            votes = {file: self._builder.vote_on(parameters, last, file) for file in asked[last]}
            self._compare_winners(last, votes, asked[last])
            told(last)

    def _compare_winners(self, step: int, votes: Mapping[int, bytes], asked: Collection[int]) -> bool:
        """Compares the digests of files with those that won; returns whether all are as recorded."""
        right, winners = True, self._lines[step]["winners"]
        for file, vote in sorted(votes.items()):
            if winners[file] is None:
                continue
            self.result.files += 1
            self.result.reached += file in asked
            if (found := commitment(vote)) != winners[file]:
                self._find("winner", step, winners[file], found, file=file)
                right = False
        return right

    def _compare(self, server: ParameterServer, asked: Collection[int]) -> bool:
        """Compares the round that is done, and closes it; returns whether it is as recorded."""
        step = server.step + 1
        line = self._lines[step]
        votes = {file: ballot.winner for file, ballot in enumerate(server.ballots) if ballot.winner is not None}
        if not self._compare_winners(step, votes, asked):
            return False
        server.leave_out([file for file, recorded in enumerate(line["winners"]) if recorded is None])
        aggregate = server.aggregate()
        made = aggregate_digest(aggregate)
        server.close_round(aggregate)
        self.result.steps += 1
        weights = weights_digest(server.state.model.module.state_dict())
        for what, found_now in (("aggregate", made), ("weights", weights)):
            if line[what] != found_now:
                self._find(what, step, line[what], found_now)
                return False
        return True

    def _find(self, what: str, step: int, recorded: str | None, found: str | None, *, file: int | None = None) -> None:
        self.result.findings.append(Finding(step=step, what=what, recorded=recorded, found=found, file=file))


def first_difference(ours: RunDirectory, theirs: RunDirectory) -> int | None:
    """The first step after which two runs that began alike have different weights, found by bisection; None if there is none.

    Weights that differ once differ at all later steps, but for a coincidence of digests.

    Raises:
        ConfigError: one has no record, or they have no step in common.
    """
    first, second = ({line["step"]: line["weights"] for line in effective(read_json_lines(one.record))} for one in (ours, theirs))
    steps = sorted(first.keys() & second.keys())
    if not steps:
        raise ConfigError(f"{ours.path} and {theirs.path} have no recorded step in common")
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        if first[steps[middle]] == second[steps[middle]]:
            low = middle + 1
        else:
            high = middle
    return steps[low] if low < len(steps) else None


def _short(digest_in_hexadecimal: str | None) -> str:
    return "none" if digest_in_hexadecimal is None else digest_in_hexadecimal[:16]
