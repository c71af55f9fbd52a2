"""What the server does about files that it can compute itself: which it checks, and whom that convicts."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from byzshield.arrays import Float32
from byzshield.choices import AuditBy, Evidence
from byzshield.errors import ServerFaultError
from byzshield.seeding import generator
from byzshield.wire import ChunkLayout

__all__ = ["Audit", "Conviction", "Convictions", "judged"]


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

    Reference: Gupta and Vaidya, "Randomized Reactive Redundancy for Byzantine Fault-Tolerance in Parallelized Learning",
    arXiv:1912.09528 (checks drawn at random, exclusion of who is found out).

    Args:
        computer: maps parameters, float32 [p], a step and a file to the gradient vector, float32 [d].
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
        self.compute = computer
        self._seed = seed
        self._system = random.SystemRandom()

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


def judged(
    recompute: Callable[[], Float32], layout: ChunkLayout, votes: Mapping[int, bytes], *, step: int, file: int
) -> tuple[Float32, bytes, dict[int, bytes]]:
    """Computes a file and compares with it what workers have voted for.

    Args:
        recompute: computes the gradient vector, float32 [d].
        layout: its chunks.
        votes: digests of all chunks, by worker.
        step: for the message.
        file: for the message.

    Returns:
        the vector, the digests of its chunks, and the votes that are others, by worker ascending.

    Raises:
        ServerFaultError: there are such votes, and the server does not compute the same gradient twice.
    """
    vector = recompute()
    true = layout.digests(vector)
    liars = {worker: vote for worker, vote in sorted(votes.items()) if vote != true}
    if liars and layout.digests(recompute()) != true:
        raise ServerFaultError(
            f"step {step}, file {file}: the server has computed two different gradients from the same numbers, so it can convict "
            "nobody; its memory or processor is at fault, or its kernels are not deterministic"
        )
    return vector, true, liars
