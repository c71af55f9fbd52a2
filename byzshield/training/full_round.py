"""The full exchange: every copy of every file travels, as in the systems before; for comparison."""

from typing import Any

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.errors import FrameError
from byzshield.training.round import Round
from byzshield.wire import Frame, Kind, digest, messages

__all__ = ["FullRound"]


class FullRound(Round):
    """Receives all copies and votes on their digests, keeping one payload for each different chunk.

    Comparing collision-resistant digests decides exactly what comparing the copies value by value would.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._digests: dict[tuple[int, int], dict[int, bytes]] = {}
        self._kept: dict[int, dict[tuple[int, bytes], Float32 | Float64]] = {}
        self._stored: dict[int, bytes] = {}  # which winner stands in the matrix

    def receive(self, frame: Frame, now: float) -> list[Frame]:
        if frame.kind is not Kind.GRADIENT:
            raise FrameError(f"a {frame.kind.name} has no place in a full exchange")
        if not 0 <= frame.file < len(self.ballots) or frame.worker not in self.ballots[frame.file].voters:
            if 0 <= frame.file < len(self.ballots) and frame.worker in self.ballots[frame.file].former:
                return []
            raise FrameError(f"worker {frame.worker} does not hold file {frame.file}")
        seen = self._digests.setdefault((frame.worker, frame.file), {})
        if not 0 <= frame.chunk < self._layout.num_chunks or frame.chunk in seen:
            raise FrameError(f"chunk {frame.chunk} of file {frame.file} is not awaited")
        part = self._layout.slice(frame.chunk)
        values = np.empty(part.stop - part.start, dtype=self._matrix.dtype)
        messages.read_vector(frame, values)
        seen[frame.chunk] = key = digest(values)
        if frame.file not in self.complete and frame.file not in self.undecided:
            self._kept.setdefault(frame.file, {}).setdefault((frame.chunk, key), values)
        if len(seen) < self._layout.num_chunks:
            return []
        vote = b"".join(seen[chunk] for chunk in range(self._layout.num_chunks))
        return self._cast(frame.worker, frame.file, vote, now)

    def _complete(self, file: int, now: float) -> list[Frame]:
        winner = self.ballots[file].winner
        assert winner is not None
        if self._stored.get(file) != winner:
            kept = self._kept.pop(file, {})
            keys = [(chunk, self._layout.digest_of(winner, chunk)) for chunk in range(self._layout.num_chunks)]
            if not kept.keys() >= set(keys):  # it came while another winner stood, which somebody was expelled for
                self._lose(file)
                return []
            for key in keys:
                self._matrix[file, self._layout.slice(key[0])] = kept[key]
            self._stored[file] = winner
            self._look_at_vector(file, self._matrix[file])
        self.complete.add(file)
        return []
