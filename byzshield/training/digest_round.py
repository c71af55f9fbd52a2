"""The digest exchange: workers vote with digests, and the server fetches each winner once."""

from dataclasses import dataclass, field
from typing import Any

from byzshield.errors import FrameError
from byzshield.training.round import Round
from byzshield.wire import ALL_CHUNKS, DIGEST_BYTES, Frame, Kind, digest, messages

__all__ = ["DigestRound"]


@dataclass(kw_only=True)
class _Fetch:
    """A decided file whose payload is on its way.

    Args:
        missing: chunks that have not arrived intact.
        provider: the worker that was asked last; None while nobody is left to ask.
        deadline: when the provider is given up.
        asked: all workers that have been asked.
    """

    missing: set[int]
    provider: int | None = None
    deadline: float = 0.0
    asked: set[int] = field(default_factory=set)


class DigestRound(Round):
    """Decides each file by the digests of its copies and asks one member of the majority for the payload.

    Every chunk is checked against the digest that was voted for. A provider that sends anything else, or nothing, is counted
    and replaced by the next member; one honest member suffices. Requests are spread over the members.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fetches: dict[int, _Fetch] = {}
        self._asked_of: dict[int, int] = {}

    def receive(self, frame: Frame, now: float) -> list[Frame]:
        if not 0 <= frame.file < len(self.ballots):
            raise FrameError(f"there is no file {frame.file}")
        if frame.kind is Kind.DIGESTS:
            return self._receive_vote(frame, now)
        if frame.kind is Kind.GRADIENT:
            return self._receive_chunk(frame, now)
        raise FrameError(f"a {frame.kind.name} has no place in a round")

    def tick(self, now: float) -> list[Frame]:
        super().tick(now)
        requests = []
        for file, fetch in list(self._fetches.items()):
            if fetch.provider is not None and now >= fetch.deadline:
                self._blame.add(fetch.provider, "timeout")
                requests += self._ask_next(file, now)
            elif fetch.provider is None and self._voting_over:
                self._abandon(file)
        return requests

    def next_deadline(self) -> float | None:
        deadlines = [fetch.deadline for fetch in self._fetches.values() if fetch.provider is not None]
        votes = super().next_deadline()
        if votes is not None:
            deadlines.append(votes)
        return min(deadlines, default=None)

    def give_up_on(self, worker: int, now: float) -> list[Frame]:
        super().give_up_on(worker, now)
        requests = []
        for file, fetch in list(self._fetches.items()):
            fetch.asked.add(worker)
            if fetch.provider in (worker, None):
                requests += self._ask_next(file, now)
        return requests

    def _receive_vote(self, frame: Frame, now: float) -> list[Frame]:
        if frame.compressed or frame.count != DIGEST_BYTES * self._layout.num_chunks:
            raise FrameError(f"a vote has {self._layout.num_chunks} digests")
        if self._cast(frame.worker, frame.file, bytes(frame.payload)):
            self._fetches[frame.file] = _Fetch(missing=set(range(self._layout.num_chunks)))
            return self._ask_next(frame.file, now)
        fetch = self._fetches.get(frame.file)
        return self._ask_next(frame.file, now) if fetch is not None and fetch.provider is None else []

    def _receive_chunk(self, frame: Frame, now: float) -> list[Frame]:
        fetch = self._fetches.get(frame.file)
        if fetch is None or frame.worker != fetch.provider:
            settled = frame.file in self.complete or frame.file in self.undecided
            if settled or (fetch is not None and frame.worker in fetch.asked):
                return []  # it was asked once, and is late
            raise FrameError(f"nobody asked worker {frame.worker} for file {frame.file}")
        if frame.chunk not in fetch.missing:
            raise FrameError(f"chunk {frame.chunk} of file {frame.file} is not awaited")
        winner = self.ballots[frame.file].winner
        assert winner is not None
        place = self._matrix[frame.file, self._layout.slice(frame.chunk)]
        try:
            messages.read_vector(frame, place)
        except FrameError:
            self._blame.add(frame.worker, "malformed")
            return self._ask_next(frame.file, now)
        if digest(place) != self._layout.digest_of(winner, frame.chunk):
            self._blame.add(frame.worker, "payload_mismatch")
            return self._ask_next(frame.file, now)
        fetch.missing.discard(frame.chunk)
        if not fetch.missing:
            del self._fetches[frame.file]
            self.complete.add(frame.file)
        return []

    def _ask_next(self, file: int, now: float) -> list[Frame]:
        """Asks the member of the majority that has been asked least for what is missing of a file."""
        fetch, ballot = self._fetches[file], self.ballots[file]
        members = [worker for worker in ballot.supporters if worker not in fetch.asked]
        if not members:
            fetch.provider = None
            if not ballot.silent or self._voting_over:
                self._abandon(file)
            return []
        worker = min(members, key=lambda member: (self._asked_of.get(member, 0), member))
        self._asked_of[worker] = self._asked_of.get(worker, 0) + 1
        self._blame.ask(worker, "payloads")
        fetch.asked.add(worker)
        fetch.provider = worker
        fetch.deadline = now + self._timeout
        chunks = [ALL_CHUNKS] if len(fetch.missing) == self._layout.num_chunks else sorted(fetch.missing)
        return [messages.fetch(worker, self.step, file, chunk) for chunk in chunks]

    def _abandon(self, file: int) -> None:
        del self._fetches[file]
        self.undecided.add(file)
