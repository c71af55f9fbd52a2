"""The digest exchange where the server has no room for all winners: they are fetched and combined by windows of columns."""

from collections.abc import Sequence
from math import inf
from typing import Any

from byzshield.aggregation import Aggregate
from byzshield.arrays import Float32
from byzshield.training.digest_round import DigestRound
from byzshield.training.windowed_aggregate import WindowedAggregate
from byzshield.wire import Frame

__all__ = ["WindowedRound"]


class WindowedRound(DigestRound):
    """Fetches some chunks of all files, combines them, and goes on to the next; otherwise as a `DigestRound`.

    Workers keep what they have computed until the next step. Before the last file is decided only the first window can travel,
    so what is saved in memory is paid for in time where the network is slow beside the computing.

    Each window of a file is asked for anew, so that its requests are spread like those of files, and count like them. A file
    that nobody delivers to the end is undecided, and is taken out of the windows that were combined with it, together with all
    that only those would deliver who failed to lately. One that is decided
    anew, or that the server computes itself, takes its place in all windows.

    Args:
        aggregate: makes the step's aggregate.
        arguments: those of a `Round`, where `matrix` is [f, w]; row i holds the window's chunks of file i when that is complete.
    """

    def __init__(self, *, aggregate: WindowedAggregate, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._aggregate = aggregate
        self._gone: list[int] = []
        self._provided: dict[int, Float32] = {}

    @property
    def done(self) -> bool:
        return super().done and self._aggregate.done

    def receive(self, frame: Frame, now: float) -> list[Frame]:
        return super().receive(frame, now) + self._go_on(now)

    def tick(self, now: float) -> list[Frame]:
        return super().tick(now) + self._go_on(now)

    def work(self, now: float) -> list[Frame]:
        return super().work(now) + self._go_on(now)

    def expel(self, worker: int, now: float) -> list[Frame]:
        return super().expel(worker, now) + self._go_on(now)

    def give_up_on(self, workers: Sequence[int], now: float) -> list[Frame]:
        self._gone += workers
        return super().give_up_on(workers, now) + self._go_on(now)

    def result(self) -> Aggregate:
        """The aggregate of the finished round, of which nothing was left out since."""
        return self._aggregate.result(sorted(self.complete))

    def _provide(self, file: int, vector: Float32, now: float) -> list[Frame]:
        self._provided[file] = vector
        before = self._fetches.get(file)
        right = before is not None and before.winner == self.ballots[file].winner  # the windows that are made have this row
        requests = [] if right else self._begin_again(file, now)
        self._fetches[file] = self._new_fetch(file)
        return requests + self._ask_next(file, now)

    def _complete(self, file: int, now: float) -> list[Frame]:
        before = self._fetches.get(file)
        anew = before is not None and before.winner != self.ballots[file].winner
        requests = self._begin_again(file, now) if anew else []
        return requests + super()._complete(file, now)

    def _lose(self, file: int) -> None:
        """Gives a file up, and if that has windows made again, those as well whose providers were all waited for in vain lately.

        Otherwise they could be lost one after the other, and have the windows made again as often.
        """
        super()._lose(file)
        if self._audit is not None or not self._aggregate.begun:
            return
        for other, fetch in self._fetches.items():
            if other not in self.undecided and all(map(self._pace.is_given_up, self.ballots[other].supporters)):
                fetch.awaited.clear()
                fetch.deadline = inf
                self.complete.discard(other)
                self.undecided.add(other)

    def _new_fetch(self, file: int) -> Any:
        fetch = super()._new_fetch(file)
        fetch.missing.intersection_update(self._aggregate.chunks)
        fetch.asked.update(dict.fromkeys(self._gone, self._began))
        return fetch

    def _place(self, file: int, chunk: int) -> Any:
        return self._matrix[file, self._aggregate.place(chunk)]

    def _receive_chunk(self, frame: Frame, now: float) -> list[Frame]:
        fetch = self._fetches.get(frame.file)
        if fetch is not None and frame.worker in fetch.before and frame.chunk not in fetch.awaited.get(frame.worker, ()):
            return []  # of a window that is over
        return super()._receive_chunk(frame, now)

    def _ask_next(self, file: int, now: float) -> list[Frame]:
        if (vector := self._provided.get(file)) is None:
            return super()._ask_next(file, now)
        for chunk in self._fetches[file].missing:
            self._place(file, chunk)[:] = vector[self._layout.slice(chunk)]
        self._fetches[file].missing.clear()
        self.complete.add(file)
        return []

    def _go_on(self, now: float) -> list[Frame]:
        """Combines the window once all files have come, and asks for the next."""
        requests: list[Frame] = []
        while super().done and not self._aggregate.done:
            self._aggregate.combine(self._matrix, sorted(self.complete))
            if not self._aggregate.done:
                requests += self._open_window(now)
        return requests

    def _begin_again(self, file: int, now: float) -> list[Frame]:
        """Has all windows made again, since a file gets another row."""
        finished = self._aggregate.done
        self._aggregate.forget(file)
        self.complete.discard(file)
        return self._open_window(now) if finished else []

    def _open_window(self, now: float) -> list[Frame]:
        self._pace.begin_window()
        files = sorted(self.complete)
        self.complete.clear()
        requests: list[Frame] = []
        for file in files:
            self._fetches[file] = self._new_fetch(file)
            requests += self._ask_next(file, now)
        return requests
