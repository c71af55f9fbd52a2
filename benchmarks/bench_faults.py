"""Measures how long a step lasts under each way in which q workers can keep the server waiting, against an undisturbed one.

    python benchmarks/bench_faults.py --preset smoke|full [--json]

The server is the real one; workers are played by a model in simulated time, so that a figure depends on no machine: each computes
its files one after the other, votes, and answers requests between two files, over the server's one link. Byzantine workers know
all that the server knows, its deadlines included. smoke plays a few cases of K = 15 in seconds, full more sizes and placements.
"""

import argparse
import heapq
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from byzshield.aggregation import Mean, Pipeline
from byzshield.models import FlatModel
from byzshield.placement import Assignment, baseline, frc, mols
from byzshield.seeding import generator
from byzshield.training import ParameterServer, TrainingState
from byzshield.training.turns import postponed
from byzshield.wire import ALL_CHUNKS, ArrayEncoder, ChunkLayout, Frame, Kind, Message, Packet, messages

ROUND_TIMEOUT = 60.0
WARM_UP = 10  # steps that do not count
LAYOUT = ChunkLayout(4, 2)
TRUE = np.array([1, 2, 3, 0.5], dtype=np.float32)
FALSE = -TRUE
NEVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A placement, q of its workers, and how long honest ones need.

    Args:
        name: for the table.
        assignment: who holds which file.
        num_byzantine: q; the first q workers.
        compute: seconds to compute a file.
        deliver: seconds that a payload takes on the server's link.
        noise: standard deviation of each, as a share of it.
    """

    name: str
    assignment: Assignment
    num_byzantine: int
    compute: float
    deliver: float
    noise: float = 0.05


class Fault:
    """What Byzantine workers do; this one does what honest workers do. Delays are seconds after an honest worker's message."""

    def begin(self, play: "Play") -> None:
        """Learns of the step that begins."""

    def vote(self, play: "Play", worker: int, file: int) -> tuple[float, bool]:
        """By how much the vote is late, or NEVER, and whether it is true."""
        return 0.0, True

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        """By how much a chunk, the `number`-th of an answer, is late, or NEVER."""
        return 0.0


class Silence(Fault):
    """Sends nothing."""

    def vote(self, play: "Play", worker: int, file: int) -> tuple[float, bool]:
        return NEVER, True


class NoDelivery(Fault):
    """Votes and does not deliver."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return NEVER


class Drip(Fault):
    """Answers each request just before round_timeout."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return 0.97 * ROUND_TIMEOUT


class DripInTime(Fault):
    """Answers each request just before it is late."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return 0.9 * play.server._pace.payload_limit


class Stall(Fault):
    """Delivers the first chunk at once and no other."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return NEVER if number else 0.0


class AlternatingDrip(Drip):
    """Drips whenever it is believed to be prompt."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return 0.0 if play.server._pace.is_slow(worker) else 0.97 * ROUND_TIMEOUT


class DripUnlessDoubted(Drip):
    """Drips whenever nobody else is asked to vote in its place."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return 0.0 if play.server._pace.is_doubted(worker) else 0.97 * ROUND_TIMEOUT


class DripToTheEnd(Fault):
    """Answers each request just before the server would give up a file that nobody else delivers."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        ends: float = play.server._round._fetches[file].ends  # type: ignore[union-attr]
        return max(0.0, ends - play._now - 1e-6)


class MajorityToTheEnd(DripToTheEnd):
    """The same with files that nobody else can deliver, since accomplices agree on a lie; the others are delivered at once."""

    def vote(self, play: "Play", worker: int, file: int) -> tuple[float, bool]:
        return 0.0, not self._is_theirs(play, file)

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return super().chunk(play, worker, file, number) if self._is_theirs(play, file) else 0.0

    def _is_theirs(self, play: "Play", file: int) -> bool:
        return 2 * sum(one < play.case.num_byzantine for one in play.holders[file]) > len(play.holders[file])


class Withhold(Fault):
    """Of the accomplices that share a file, one lies and the others withhold their votes, so that no majority forms."""

    def vote(self, play: "Play", worker: int, file: int) -> tuple[float, bool]:
        accomplices = [one for one in play.holders[file] if one < play.case.num_byzantine]
        if len(accomplices) < 2:
            return 0.0, True
        return (0.0, False) if worker == accomplices[0] else (self.delay(play, worker), True)

    def delay(self, play: "Play", worker: int) -> float:
        """By how much a withheld vote is late."""
        return NEVER


class LateVote(Withhold):
    """As `Withhold`, but the votes that are needed come just before nobody waits for them any more, and are true."""

    def delay(self, play: "Play", worker: int) -> float:
        play.just_in_time.append(worker)
        return NEVER


class LateVoteAndDripInTime(LateVote, DripInTime):
    """Both at once."""


class AlternatingWithhold(Withhold):
    """Withholds votes whenever it is believed to be prompt."""

    def delay(self, play: "Play", worker: int) -> float:
        return 0.0 if play.server._pace.is_slow(worker) else NEVER


class TakingTurns(Withhold):
    """One worker in each step withholds its votes, and drips; the others are quick."""

    def delay(self, play: "Play", worker: int) -> float:
        return NEVER if worker == play.step % play.case.num_byzantine else 0.0

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return 0.97 * ROUND_TIMEOUT if worker == play.step % play.case.num_byzantine else 0.0


class WithholdAndDrip(Withhold):
    """Withholds votes on files that it shares with accomplices, and drips the others."""

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return 0.97 * ROUND_TIMEOUT


class Hasty(Fault):
    """Votes and answers before anybody can, so that honest workers look late, and withholds as above."""

    def vote(self, play: "Play", worker: int, file: int) -> tuple[float, bool]:
        delay, true = Withhold().vote(play, worker, file)
        return (delay if delay == NEVER else -NEVER), true

    def chunk(self, play: "Play", worker: int, file: int, number: int) -> float:
        return -NEVER


FAULTS: dict[str, type[Fault]] = {
    "silence": Silence,
    "no delivery": NoDelivery,
    "drip": Drip,
    "drip in time": DripInTime,
    "first chunk only": Stall,
    "alternating drip": AlternatingDrip,
    "drip unless doubted": DripUnlessDoubted,
    "drip to the end": DripToTheEnd,
    "majority to the end": MajorityToTheEnd,
    "withheld votes and a liar": Withhold,
    "late votes and a liar": LateVote,
    "late votes and drip in time": LateVoteAndDripInTime,
    "alternating withheld votes": AlternatingWithhold,
    "taking turns": TakingTurns,
    "withheld votes and drip": WithholdAndDrip,
    "hasty": Hasty,
}


class Play:
    """The real server against workers in simulated time.

    Args:
        case: the placement and the times.
        fault: what the first q workers do; None if they are honest.
    """

    def __init__(self, case: Case, fault: Fault | None) -> None:
        self.case = case
        self.holders = case.assignment.workers_of.tolist()
        self.just_in_time: list[int] = []  # workers whose votes wait for the server's deadline
        self.step = 0
        self.server = _server(case.assignment)
        self.undecided = 0
        self._fault = fault
        self._now = 0.0
        self._rng = generator(0, "bench_faults")
        self._queue: list[tuple[float, int, Callable[[], list[Message]]]] = []
        self._serial = 0
        self._link_free = 0.0
        late = postponed(case.assignment) if case.assignment.load > 1 else set()
        self._order = [
            [file for file in files if (worker, file) not in late]
            for worker, files in enumerate(case.assignment.files_of.tolist())
        ]

    def seconds(self) -> float:
        """Plays a step and returns how long it lasts."""
        self.step += 1
        self._queue.clear()
        began = self._now
        self._link_free = began
        self.just_in_time.clear()
        self._lies: set[tuple[int, int]] = set()  # (worker, file) on which it votes for FALSE
        self._free_at = [began] * self.case.assignment.num_workers
        self._ends: list[list[float]] = []
        requests = self.server.open_round(began)
        for worker, files in enumerate(self._order):
            self._ends.append([])
            for file in files:
                self._compute(worker, file)
        self._answer(requests)
        while not self.server.round_done:
            self._advance()
        outcome = self.server.close_round(self.server.aggregate())
        self.undecided += len(outcome.undecided)
        return self._now - began

    def _advance(self) -> None:
        deadline = self.server.next_deadline()
        if self.just_in_time and deadline is not None and (not self._queue or self._queue[0][0] >= deadline):
            ends = self.server._round._votes._ends  # type: ignore[union-attr]
            worker = min(self.just_in_time, key=ends)
            if ends(worker) == deadline:
                self.just_in_time = [one for one in self.just_in_time if one != worker]
                for file in self.case.assignment.files_of[worker].tolist():
                    round_ = self.server._round
                    if worker in round_.ballots[file].silent and worker not in round_._spare[file]:  # type: ignore[union-attr]
                        self._now = max(self._now, deadline - 1e-6)
                        self._answer(self._received(messages.digests(worker, self.step, file, LAYOUT.digests(TRUE))))
                return
        if deadline is not None and (not self._queue or deadline <= self._queue[0][0]):
            self._now = max(self._now, deadline)
            self._answer(self.server.tick(self._now))
        else:
            when, _, event = heapq.heappop(self._queue)
            self._now = max(self._now, when)
            self._answer(event())

    def _compute(self, worker: int, file: int) -> None:
        """Behind what the worker has to do before."""
        began = max(self._now, self._ends[worker][-1]) if self._ends[worker] else self._now
        self._ends[worker].append(began + self._needs(self.case.compute))
        self._vote(worker, file, self._ends[worker][-1])

    def _vote(self, worker: int, file: int, end: float) -> None:
        delay, true = (0.0, True) if not self._byzantine(worker) else self._fault.vote(self, worker, file)  # type: ignore[union-attr]
        if not true:
            self._lies.add((worker, file))
        if delay < NEVER:
            frame = messages.digests(worker, self.step, file, LAYOUT.digests(FALSE if (worker, file) in self._lies else TRUE))
            self._at(max(self._now, end + delay), partial(self._received, frame))

    def _answer(self, outgoing: list[Message]) -> None:
        for message in outgoing:
            if message.tag in (Kind.FETCH, Kind.COMPUTE):
                request = Frame.decode(message.data, bounds={Kind.FETCH: 0, Kind.COMPUTE: 0})
                if request.kind is Kind.FETCH:
                    self._deliver(request)
                else:
                    self._compute(request.worker, request.file)

    def _deliver(self, request: Frame) -> None:
        # It hears of the request when it has computed the file that it is at.
        heard = next((end for end in self._ends[request.worker] if end >= self._now), self._now)
        self._at(heard, partial(self._send, request.worker, request.file, request.chunk))

    def _send(self, worker: int, file: int, asked: int) -> list[Message]:
        values = FALSE if (worker, file) in self._lies else TRUE
        for number, chunk in enumerate(range(LAYOUT.num_chunks) if asked == ALL_CHUNKS else [asked]):
            delay = 0.0 if not self._byzantine(worker) else self._fault.chunk(self, worker, file, number)  # type: ignore[union-attr]
            if delay == NEVER:
                continue
            arrives = self._now + delay
            if not delay:  # what is held back takes nothing of the link meanwhile
                arrives = self._link_free = max(self._now, self._link_free) + self._needs(self.case.deliver) / LAYOUT.num_chunks
            (frame,) = messages.gradient_chunks(
                worker, self.step, file, values, layout=LAYOUT, encoder=ArrayEncoder("off"), chunk=chunk
            )
            self._at(max(self._now, arrives), partial(self._received, frame))
        return []

    def _received(self, frame: Frame) -> list[Message]:
        message = frame.to(0)
        packet = Packet(source=frame.worker + 1, tag=message.tag, data=message.data, num_bytes=len(message.data))
        return self.server.receive(packet, self._now)

    def _at(self, when: float, event: Callable[[], list[Message]]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (when, self._serial, event))

    def _byzantine(self, worker: int) -> bool:
        return self._fault is not None and worker < self.case.num_byzantine

    def _needs(self, seconds: float) -> float:
        return seconds * max(0.1, 1 + self.case.noise * float(self._rng.standard_normal()))


def _server(assignment: Assignment) -> ParameterServer:
    model = FlatModel(nn.Linear(3, 1, bias=False))
    optimizer = torch.optim.SGD([nn.Parameter(model.parameters)], lr=1e-6)
    return ParameterServer(
        state=TrainingState(model=model, optimizer=optimizer, scheduler=None),
        pipeline=Pipeline(Mean()),
        assignment=assignment,
        rank_of=list(range(1, assignment.num_workers + 1)),
        layout=LAYOUT,
        encoder=ArrayEncoder("off"),
        exchange="digest",
        round_timeout=ROUND_TIMEOUT,
        quorum=0.0,
        on_request=assignment.load > 1,  # as in a run
    )


def _measure(case: Case, steps: int) -> dict[str, Any]:
    """Plays a case undisturbed and under each fault."""
    undisturbed = _seconds(case, None, steps)
    faults = {name: _seconds(case, fault(), steps) for name, fault in FAULTS.items()}
    base = undisturbed["mean"]
    return {
        "case": case.name,
        "num_byzantine": case.num_byzantine,
        "undisturbed_seconds": base,
        "faults": {name: {"ratio": round(found["mean"] / base, 2), **found} for name, found in faults.items()},
        "worst_ratio": round(max(found["mean"] for found in faults.values()) / base, 2),
    }


def _seconds(case: Case, fault: Fault | None, steps: int) -> dict[str, Any]:
    """Seconds of a step after the warm-up, and what is held against whom in all steps."""
    play = Play(case, fault)
    first = [play.seconds() for _ in range(WARM_UP)]
    seconds = [play.seconds() for _ in range(steps)]
    blamed = {int(worker): counts for worker, counts in play.server.blame.report().items()}
    late = {worker: counts["slow"] + counts["timeout"] for worker, counts in blamed.items()}
    return {
        "mean": round(float(np.mean(seconds)), 4),
        "longest": round(max(seconds), 4),
        "longest_of_warm_up": round(max(first), 4),
        "undecided_a_step": round(play.undecided / (WARM_UP + steps), 2),
        "late_byzantine": sum(count for worker, count in late.items() if worker < case.num_byzantine),
        "late_honest": sum(count for worker, count in late.items() if worker >= case.num_byzantine),
    }


def _cases(preset: str) -> list[Case]:
    computing, delivering, tiny = (
        {"compute": 1.0, "deliver": 0.02},
        {"compute": 0.2, "deliver": 0.4},
        {"compute": 2e-3, "deliver": 2e-4},
    )
    small = mols(load=5, replication=3)
    cases = [
        Case(name="mols l=5 r=3, computing", assignment=small, num_byzantine=7, **computing),
        Case(name="mols l=5 r=3, delivering", assignment=small, num_byzantine=7, **delivering),
        Case(name="mols l=5 r=3, tiny", assignment=small, num_byzantine=7, **tiny),
    ]
    if preset == "full":
        for name, assignment in (
            ("mols l=7 r=5", mols(load=7, replication=5)),
            ("frc K=15 r=3", frc(num_workers=15, replication=3)),
            ("frc K=15 r=15", frc(num_workers=15, replication=15)),
            ("baseline K=15", baseline(num_workers=15)),
        ):
            for speed, times in (("computing", computing), ("delivering", delivering)):
                for share in (5, 2):
                    most = (assignment.num_workers - 1) // share
                    cases.append(Case(name=f"{name}, {speed}", assignment=assignment, num_byzantine=most, **times))
        cases.append(Case(name="mols l=5 r=3, noisy", assignment=small, num_byzantine=7, noise=0.3, **computing))
    return cases


def _summary(document: dict[str, Any]) -> str:
    lines = []
    for case in document["cases"]:
        lines.append(f"{case['case']}, q = {case['num_byzantine']}: {case['undisturbed_seconds']:.4g} s undisturbed")
        for name, found in case["faults"].items():
            lines.append(
                f"  {name:28s} x{found['ratio']:<6.2f} longest {found['longest']:8.3f} s, in the first {WARM_UP} steps "
                f"{found['longest_of_warm_up']:8.3f} s; undecided {found['undecided_a_step']:5.2f} a step; "
                f"late: {found['late_byzantine']} Byzantine, {found['late_honest']} honest"
            )
    return "\n".join(lines)


def main() -> None:
    """Runs a preset and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["smoke", "full"], default="smoke")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    logging.getLogger("byzshield").setLevel(logging.ERROR)
    steps = {"smoke": 20, "full": 100}[arguments.preset]
    document: dict[str, Any] = {"preset": arguments.preset, "warm_up": WARM_UP, "steps": steps, "round_timeout": ROUND_TIMEOUT}
    document["cases"] = [_measure(case, steps) for case in _cases(arguments.preset)]
    print(json.dumps(document) if arguments.json else _summary(document))


if __name__ == "__main__":
    main()
