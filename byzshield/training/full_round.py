"""The full exchange: every copy of every file travels, as in the systems before; for comparison."""

from typing import Any

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.errors import FrameError
from byzshield.training.round import Round
from byzshield.wire import Frame, Kind, digest, messages

__all__ = ["FullRound"]


class FullRound(Round):
    """Receives all copies and votes on their digests, keeping one payload for each different chunk: the first one in the matrix.

    Comparing collision-resistant digests decides exactly what comparing the copies value by value would.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._digests: dict[tuple[int, int], dict[int, bytes]] = {}
        self._in_place: dict[tuple[int, int], bytes] = {}  # the digest of what stands in the matrix, by file and chunk
        self._kept: dict[int, dict[tuple[int, bytes], Float32 | Float64]] = {}
        self._stored: dict[int, bytes] = {}  # which winner stands in the matrix
        self._scratch: Float32 | Float64 = np.empty(min(self._layout.chunk_elements, self._layout.size), dtype=self._matrix.dtype)

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
        seen[frame.chunk] = self._take(frame)
        if len(seen) < self._layout.num_chunks:
            return []
        vote = b"".join(seen[chunk] for chunk in range(self._layout.num_chunks))
        return self._cast(frame.worker, frame.file, vote, now)

    def _take(self, frame: Frame) -> bytes:
        """Keeps the values of a chunk if they are new and the file is open; returns their digest."""
        file, chunk, part = frame.file, frame.chunk, self._layout.slice(frame.chunk)
        is_open = file not in self.complete and file not in self.undecided
        is_first = is_open and (file, chunk) not in self._in_place
        values = self._matrix[file, part] if is_first else self._scratch[: part.stop - part.start]
        messages.read_vector(frame, values)
        key = digest(values)
        if is_first:
            self._in_place[file, chunk] = key
        elif is_open and self._in_place[file, chunk] != key and (chunk, key) not in (kept := self._kept.setdefault(file, {})):
            kept[chunk, key] = values.copy()
        return key

    def _provide(self, file: int, vector: Float32, now: float) -> list[Frame]:
        for chunk in range(self._layout.num_chunks):
            self._in_place[file, chunk] = b""
        return super()._provide(file, vector, now)

    def _complete(self, file: int, now: float) -> list[Frame]:
        winner = self.ballots[file].winner
        assert winner is not None
        if self._stored.get(file) != winner:
            kept = self._kept.pop(file, {})
            keys = [(chunk, self._layout.digest_of(winner, chunk)) for chunk in range(self._layout.num_chunks)]
            moving = [(chunk, key) for chunk, key in keys if self._in_place.get((file, chunk)) != key]
            if not kept.keys() >= set(moving):  # it came while another winner stood, which somebody was expelled for
                self._lose(file)
                return []
            for chunk, key in moving:
                self._matrix[file, self._layout.slice(chunk)] = kept[chunk, key]
                self._in_place[file, chunk] = key
            self._stored[file] = winner
            self._look_at_vector(file, self._matrix[file])
        self.complete.add(file)
        return []
