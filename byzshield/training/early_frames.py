"""What accomplices have sent before this rank can use it: of the newest step that one of them has begun, and no other."""

from byzshield.wire import Frame, Kind

__all__ = ["EarlyFrames"]


class EarlyFrames:
    """Keeps frames of a step to come, and those of the current one that are of use only if their receiver becomes the leader.

    Whoever has begun a step knows that those before it are over, so frames of the newest one alone are kept: at most two a file,
    however far this rank is behind.

    Args:
        num_files: f; a frame for no file is not kept.
    """

    def __init__(self, num_files: int) -> None:
        self._num_files = num_files
        self._newest = (0, 0)  # attempt and step
        self._frames: dict[tuple[Kind, int], tuple[int, Frame]] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def keep(self, source: int, frame: Frame) -> None:
        """Keeps a frame that a rank has sent, unless there are newer ones."""
        when = (frame.attempt, frame.step)
        if when > self._newest:
            self._newest = when
            self._frames.clear()
        if when == self._newest and frame.file < self._num_files:
            self._frames[frame.kind, frame.file] = source, frame

    def take(self, attempt: int, step: int) -> list[tuple[int, Frame]]:
        """Returns those of this step, and forgets them and all of steps before it."""
        if (attempt, step) < self._newest:
            return []
        frames = list(self._frames.values())
        self._frames.clear()
        return frames if (attempt, step) == self._newest else []
