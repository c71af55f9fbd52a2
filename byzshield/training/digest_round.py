"""The digest exchange: workers vote with digests, and the server fetches each winner once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import Any

from byzshield.arrays import Float32, Float64
from byzshield.errors import FrameError
from byzshield.training.round import Round
from byzshield.wire import ALL_CHUNKS, DIGEST_BYTES, Frame, Kind, digest, messages

__all__ = ["DigestRound"]


@dataclass(kw_only=True)
class _Fetch:
    """A decided file whose payload is on its way, or has come.

    Args:
        winner: the digests that decided the file when it was begun.
        missing: chunks that have not arrived intact.
        asked: when each worker was asked that has been asked, in seconds.
        awaited: chunks that are to come from each of them that still may deliver.
        heard: those of them that have sent anything.
        late: those of them that had not sent everything in time.
        deadline: when the next one is asked, or the file given up; infinite if that is not a matter of time.
        ends: when those who were asked are given up if there is nobody else to ask.
        waits: since when there is nobody else to ask; infinite if there is.
        before: workers that were asked for another winner of this file, before somebody was expelled.
    """

    winner: bytes
    missing: set[int]
    asked: dict[int, float] = field(default_factory=dict)
    awaited: dict[int, set[int]] = field(default_factory=dict)
    heard: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    deadline: float = inf
    ends: float = 0.0
    waits: float = inf
    before: frozenset[int] = frozenset()


class DigestRound(Round):
    """Decides each file by the digests of its copies and asks one member of the majority for the payload.

    Every chunk is checked against the digest that was voted for. A provider that sends anything else is counted and replaced by
    the next member. For one that takes longer than is usual, the next is asked as well, and what comes first is taken; one honest
    member suffices. Requests are spread over the members, and the slow are asked last, all at once.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fetches: dict[int, _Fetch] = {}
        self._due: list[tuple[float, int]] = []  # a heap of deadlines and files, which may have changed since
        self._stranded: set[int] = set()  # files that nobody is left to deliver, unless somebody is to vote yet

    def receive(self, frame: Frame, now: float) -> list[Frame]:
        if not 0 <= frame.file < len(self.ballots):
            raise FrameError(f"there is no file {frame.file}")
        if frame.kind is Kind.DIGESTS:
            return self._receive_vote(frame, now)
        if frame.kind is Kind.GRADIENT:
            return self._receive_chunk(frame, now)
        raise FrameError(f"a {frame.kind.name} has no place in a round")

    def tick(self, now: float) -> list[Frame]:
        requests = super().tick(now)
        while now >= self._next_payload():
            _, file = heappop(self._due)
            self._fetches[file].deadline = inf
            self._count_late(file, now)
            requests += self._ask_next(file, now)
        for file in [file for file in self._fetches if file in self._stranded] if self._stranded else ():
            requests += self._abandon_if_hopeless(file, now)
        return requests

    def next_deadline(self) -> float:
        return inf if self.done else min(super().next_deadline(), self._next_payload())

    def give_up_on(self, workers: Sequence[int], now: float) -> list[Frame]:
        requests = super().give_up_on(workers, now)
        for file, fetch in self._fetches.items():
            for worker in workers:
                fetch.asked.setdefault(worker, now)
                fetch.awaited.pop(worker, None)
            requests += self._ask_next(file, now)
        return requests

    def _receive_vote(self, frame: Frame, now: float) -> list[Frame]:
        if frame.compressed or frame.count != DIGEST_BYTES * self._layout.num_chunks:
            raise FrameError(f"a vote has {self._layout.num_chunks} digests")
        fetched = frame.file in self._fetches
        requests = self._cast(frame.worker, frame.file, bytes(frame.payload), now)
        return requests + (self._ask_next(frame.file, now) if fetched else [])

    def _complete(self, file: int, now: float) -> list[Frame]:
        winner, before = self.ballots[file].winner, self._fetches.get(file)
        if before is None or before.winner != winner:
            self._fetches[file] = self._new_fetch(file)
        elif not before.missing:  # it has come, and was only voted on again
            self.complete.add(file)
        return self._ask_next(file, now)

    def _new_fetch(self, file: int) -> _Fetch:
        """What is to be fetched of a file that has been decided."""
        winner, before = self.ballots[file].winner, self._fetches.get(file)
        assert winner is not None
        asked = frozenset() if before is None else before.before.union(before.asked)
        return _Fetch(winner=winner, missing=set(range(self._layout.num_chunks)), before=asked)

    def _place(self, file: int, chunk: int) -> Float32 | Float64:
        """Where a chunk belongs."""
        return self._matrix[file, self._layout.slice(chunk)]

    def work(self, now: float) -> list[Frame]:
        requests = super().work(now)
        for file in self.settled & self._fetches.keys():
            self._fetches[file].missing.clear()
            self._fetches[file].deadline = inf
        return requests

    def _receive_chunk(self, frame: Frame, now: float) -> list[Frame]:
        fetch, worker = self._fetches.get(frame.file), frame.worker
        if fetch is not None and worker in fetch.asked:
            self._hear(fetch, worker, now)
        if fetch is None or worker not in fetch.awaited:
            settled = frame.file in self.complete or frame.file in self.undecided
            if settled or (fetch is not None and (worker in fetch.asked or worker in fetch.before)):
                return []  # it was asked once, and is late
            raise FrameError(f"nobody asked worker {worker} for file {frame.file}")
        if frame.chunk not in fetch.awaited[worker]:
            raise FrameError(f"chunk {frame.chunk} of file {frame.file} is not awaited")
        fetch.awaited[worker].discard(frame.chunk)
        if frame.chunk not in fetch.missing:
            return []  # somebody else was faster
        place = self._place(frame.file, frame.chunk)
        try:
            messages.read_vector(frame, place)
        except FrameError:
            return self._replace(worker, frame.file, "malformed", now)
        if digest(place) != self._layout.digest_of(fetch.winner, frame.chunk):
            return self._replace(worker, frame.file, "payload_mismatch", now)
        fetch.missing.discard(frame.chunk)
        self._look_at(frame.file, frame.chunk, place)
        if not fetch.missing:
            fetch.deadline = inf
            self._spend(fetch, now)
            if self.ballots[frame.file].winner == fetch.winner:
                self.complete.add(frame.file)
        return []

    def _replace(self, worker: int, file: int, cause: str, now: float) -> list[Frame]:
        """Counts a provider that has sent what is useless, and asks another."""
        self._blame.add(worker, cause)
        self._pace.late(worker, false=True)
        del self._fetches[file].awaited[worker]
        requests = [] if self._audit is None else self._convict(worker, file, self._fetches[file].winner, "payload", now)
        return requests + self._ask_next(file, now)

    def _count_late(self, file: int, now: float) -> None:
        """Counts those who should have delivered: as `slow` who has sent a part, as `timeout` who has sent nothing."""
        fetch = self._fetches[file]
        for worker in fetch.awaited:
            if worker not in fetch.late and now >= fetch.asked[worker] + self._pace.payload_limit:
                fetch.late.add(worker)
                self._blame.add(worker, "slow" if worker in fetch.heard else "timeout")
                self._pace.late(worker)
                self._pace.delivered(worker, now - fetch.asked[worker])

    def _hear(self, fetch: _Fetch, worker: int, now: float) -> None:
        """Notes that a worker has sent a part of what it was asked for, or all of it."""
        self._pace.delivered(worker, now - fetch.asked[worker])
        if worker in fetch.late and worker not in fetch.heard:
            self._blame.add(worker, "slow")
        fetch.heard.add(worker)

    def _ask_next(self, file: int, now: float) -> list[Frame]:
        """Asks for what is missing of a file, unless one who is not slow still has time: such a one, or else all who are left."""
        fetch, ballot = self._fetches[file], self.ballots[file]
        in_time = fetch.awaited.keys() - fetch.late
        if ballot.winner != fetch.winner:
            return []  # it is voted on again
        if not fetch.missing or file in self.undecided or not all(map(self._pace.is_slow, in_time)):
            return []
        members = [worker for worker in ballot.supporters if worker not in fetch.asked]
        if not members:
            return [] if in_time else self._ask_further(file, now) + self._wait_for_the_late(file, now)
        first = self._pace.first_to_ask(members)
        requests = []
        for worker in members if self._pace.is_slow(first) else [first]:
            fetch.asked[worker] = now
            fetch.awaited[worker] = set(fetch.missing)
            fetch.ends = max(fetch.ends, now + self._pace.patience(worker, self._pace.payload_limit))
            self._pace.ask(worker)
            self._blame.ask(worker, "payloads")
            chunks = [ALL_CHUNKS] if len(fetch.missing) == self._layout.num_chunks else sorted(fetch.missing)
            requests += [messages.fetch(worker, self.step, file, chunk) for chunk in chunks]
        self._schedule(file, now + self._pace.payload_limit)
        return requests

    def _wait_for_the_late(self, file: int, now: float) -> list[Frame]:
        """Waits on for those who were asked, as there is nobody else, or gives them up."""
        fetch = self._fetches[file]
        fetch.waits = min(fetch.waits, now)
        if fetch.awaited and now < fetch.ends:
            self._schedule(file, fetch.ends)
            return []
        self._spend(fetch, now)
        for worker in fetch.awaited:
            self._pace.give_up(worker)
        fetch.awaited.clear()
        return self._abandon_if_hopeless(file, now)

    def _spend(self, fetch: _Fetch, now: float) -> None:
        """Pays for having waited for those who are late, if so."""
        limit = self._pace.payload_limit
        self._pace.spend(limit + now - fetch.waits, prompt=limit, granted=limit)

    def _abandon_if_hopeless(self, file: int, now: float) -> list[Frame]:
        """Gives a file up if nobody is left to deliver it, or to vote for it and deliver then; asks for such a vote."""
        fetch = self._fetches[file]
        self._stranded.discard(file)
        if not fetch.missing or fetch.awaited or self.ballots[file].winner != fetch.winner:
            return []
        if not self.ballots[file].silent:
            self._lose(file)
        elif file not in self.undecided:
            self._stranded.add(file)
        return self._ask_further(file, now)

    def _schedule(self, file: int, deadline: float) -> None:
        self._fetches[file].deadline = deadline
        heappush(self._due, (deadline, file))

    def _next_payload(self) -> float:
        """The earliest deadline of a payload; infinite without one."""
        while self._due and self._due[0][0] != self._fetches[self._due[0][1]].deadline:
            heappop(self._due)
        return self._due[0][0] if self._due else inf
