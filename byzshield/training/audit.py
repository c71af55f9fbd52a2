"""What the server does about files that it can compute itself: which it checks, and whom that convicts."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from byzshield.arrays import Float32
from byzshield.choices import AuditBy, Evidence
from byzshield.errors import ComputationError, ServerFaultError
from byzshield.log import get_logger
from byzshield.seeding import generator
from byzshield.training.gradient import not_computed
from byzshield.wire import ChunkLayout

__all__ = ["Audit", "Conviction", "Convictions", "Judgment", "judged"]

LOG = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Conviction:
    """A proof that a worker has committed to other bytes than the file's gradient.

    Args:
        step: the training step.
        file: the file.
        worker: who.
        evidence: "audit" (the file was drawn), "arbitration" (its copies disagreed), "payload" (the worker did not send what it
            had voted for), or "replay" (found after a conviction, among what it had done before).
        committed: the digests of the chunks that it voted with; of a "replay", what stands for them in the record.
        recomputed: those of the gradient; empty where no gradient was needed for the proof.
    """

    step: int
    file: int
    worker: int
    evidence: Evidence
    committed: bytes
    recomputed: bytes = b""

    def record(self) -> dict[str, Any]:
        """As a JSON object, with digests in hexadecimal."""
        return {**vars(self), "committed": self.committed.hex(), "recomputed": self.recomputed.hex()}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Conviction":
        """What `record` has made an object of.

        Raises:
            KeyError, TypeError, ValueError: it is another object.
        """
        values = {field.name: record[field.name] for field in fields(cls)}
        return cls(**values | {key: bytes.fromhex(record[key]) for key in ("committed", "recomputed")})


class Audit:
    """How the server checks files, and with which numbers it draws them.

    A file's gradient is a function of the parameters, the seed, the step and the file, so the server can compute it, and whoever
    has voted with another digest has lied or computes wrongly. Files are drawn one by one after they are decided, when nobody
    can take its vote back, by numbers of the operating system, which no worker can predict. With a rate, those that are not
    finite or far longer than others are checked for certain (`Lengths`).

    A file that the server cannot compute, since it has a sample that cannot be read, proves nothing against anybody. So that
    nobody lies in such files for long, whatever has one of its samples is checked for certain from then on, until the server
    has computed a file with that sample.

    Reference: Gupta and Vaidya, "Randomized Reactive Redundancy for Byzantine Fault-Tolerance in Parallelized Learning",
    arXiv:1912.09528 (checks drawn at random, exclusion of who is found out).

    Args:
        computer: maps parameters, float32 [p], a step and a file to the gradient vector, float32 [d].
        samples: gives the samples of a step's file.
        arbitrate: whether the server computes a file whose copies disagree.
        rate: the probability with which each decided file is checked, 0 to 1.
        idle: whether the server checks files of the step before while it waits. What is decided last could otherwise never be
            checked in such time, and who lies would be last.
        by: whether the server checks, or a further worker drawn at random, whose disagreement the server settles.
        expel: whether the votes of a convicted worker no longer count.
        seed: fixes the draws, for experiments alone; None takes the operating system's.
    """

    def __init__(
        self,
        *,
        computer: Callable[[Float32, int, int], Float32],
        samples: Callable[[int, int], Iterable[int]] = lambda step, file: (),
        arbitrate: bool,
        rate: float,
        idle: bool = False,
        by: AuditBy = "server",
        expel: bool = True,
        seed: int | None = None,
    ) -> None:
        self.arbitrate = arbitrate
        self.rate = rate
        self.idle = idle
        self.by = by
        self.expel = expel
        self.suspects: set[int] = set()
        """Samples of files that could not be computed; of each such file, one or more cannot be read."""
        self._failures = 0
        self._computer = computer
        self._samples = samples
        self._seed = seed
        self._system = random.SystemRandom()

    def compute(self, parameters: Float32, step: int, file: int) -> Float32:
        """The gradient vector of a file, float32 [d], at these parameters, float32 [p].

        Raises:
            ComputationError: it cannot be computed.
        """
        try:
            vector = self._computer(parameters, step, file)
        except ComputationError as error:
            self.suspects.update(self._samples(step, file))
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # as `GradientComputer.or_nan` has it
                LOG.warning("%s; it is left out, and nobody can be convicted by it", error)
            raise
        self.suspects.difference_update(self._samples(step, file) if self.suspects else ())
        return vector

    def distrusts(self, step: int, file: int) -> bool:
        """Whether a file has a sample that may not be readable, so that it is checked whatever is drawn."""
        return bool(self.suspects) and not self.suspects.isdisjoint(self._samples(step, file))

    def draws(self, step: int, file: int) -> bool:
        """Whether a file is checked; to be asked whenever it is decided. With a seed, the answer is the same each time."""
        if not 0 < self.rate < 1:
            return self.rate >= 1
        return self._uniform("draw", step, file) < self.rate

    @property
    def looks_at_lengths(self) -> bool:
        """Whether what is far longer than other gradients is checked for certain."""
        return self.rate > 0

    def choose(self, candidates: list[int], step: int, file: int) -> int:
        """One of some workers, each with the same probability."""
        return candidates[int(self._uniform("witness", step, file) * len(candidates))]

    def shuffled(self, number: int, step: int) -> list[int]:
        """The numbers from 0, in an order in which each is as likely as any other."""
        return sorted(range(number), key=lambda file: self._uniform("order", step, file))

    def _uniform(self, purpose: str, step: int, file: int) -> float:
        if self._seed is None:
            return self._system.random()
        return float(generator(self._seed, f"audit {purpose}", step, file).random())


class Convictions:
    """Who is convicted, and who may come back.

    With a probation, a convicted worker goes on computing its files unpaid: its votes are compared with the winners and do not
    count. After so many steps in a row in which all that it voted was right, it is a worker like the others again; the second
    conviction is for good. So a host that was mended, or whose memory failed once, serves on, and a liar gains one more lie.

    Args:
        probation: steps without a fault; 0 lets nobody back.
    """

    def __init__(self, *, probation: int = 0) -> None:
        self._probation = probation
        self._proofs: dict[int, Conviction] = {}  # the latest of each worker that was ever convicted
        self._expelled: set[int] = set()
        self._clean: dict[int, int] = {}  # steps without a fault, of those on probation

    @property
    def expelled(self) -> frozenset[int]:
        """Workers whose votes do not count."""
        return frozenset(self._expelled)

    @property
    def on_probation(self) -> frozenset[int]:
        """Those of them that may come back."""
        return frozenset(self._clean)

    @property
    def for_good(self) -> frozenset[int]:
        """The others of them, for whom there is nothing left to compute."""
        return frozenset(self._expelled - self._clean.keys())

    @property
    def proofs(self) -> dict[int, Conviction]:
        """What each of them was convicted by, ascending."""
        return {worker: self._proofs[worker] for worker in sorted(self._expelled)}

    def add(self, conviction: Conviction) -> None:
        """Expels a worker."""
        worker = conviction.worker
        if self._probation and worker not in self._proofs:
            self._clean[worker] = 0
        else:
            self._clean.pop(worker, None)
        self._proofs[worker] = conviction
        self._expelled.add(worker)

    def serve(self, worker: int, *, right: bool) -> bool:
        """Counts a step of a worker on probation; returns whether it is back."""
        self._clean[worker] = self._clean[worker] + 1 if right else 0
        if self._clean[worker] < self._probation:
            return False
        self.pardon(worker)
        return True

    def pardon(self, worker: int) -> None:
        """Takes a worker back."""
        self._clean.pop(worker, None)
        self._expelled.discard(worker)

    def state_dict(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "proofs": [proof.record() for _, proof in sorted(self._proofs.items())],
            "expelled": sorted(self._expelled),
            "clean": dict(self._clean),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        proofs = map(Conviction.of, state["proofs"])
        self._proofs = {proof.worker: proof for proof in proofs}
        self._expelled = set(state["expelled"])
        self._clean = dict(state["clean"])


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """What the server has made of a file.

    Args:
        vector: its gradient vector, or what stands for one that cannot be computed, float32 [d].
        true: the digests of its chunks.
        others: the votes that are others, by worker ascending.
        proven: whether these votes are proven to be false.
    """

    vector: Float32
    true: bytes
    others: dict[int, bytes]
    proven: bool


def judged(
    recompute: Callable[[], Float32], layout: ChunkLayout, votes: Mapping[int, bytes], *, step: int, file: int
) -> Judgment:
    """Computes a file and compares with it what workers have voted for.

    Who votes otherwise on a file that the server cannot compute may have a copy of the data that can be read.

    Args:
        recompute: computes the gradient vector, float32 [d].
        layout: its chunks.
        votes: digests of all chunks, by worker.
        step: for the message.
        file: for the message.

    Raises:
        ServerFaultError: there are other votes, and the server does not compute the same gradient twice.
    """

    def other_than(true: bytes) -> dict[int, bytes]:
        return {worker: vote for worker, vote in sorted(votes.items()) if vote != true}

    try:
        vector = recompute()
        true = layout.digests(vector)
        others = other_than(true)
        again = layout.digests(recompute()) if others else true
    except ComputationError:
        vector = not_computed(layout.size)
        true = layout.digests(vector)
        return Judgment(vector=vector, true=true, others=other_than(true), proven=False)
    if again != true:
        raise ServerFaultError(
            f"step {step}, file {file}: the server has computed two different gradients from the same numbers, so it can convict "
            "nobody; its memory or processor is at fault, or its kernels are not deterministic"
        )
    return Judgment(vector=vector, true=true, others=others, proven=True)
