"""What the leader of the accomplices remembers from step to step, and where it is after the process has ended."""

from typing import Protocol

from byzshield.attacks import Memory

__all__ = ["Memories", "StoredMemories"]


class StoredMemories(Protocol):
    """Memories that outlive their process."""

    def read(self, worker: int, *, before: int) -> tuple[int, Memory] | None:
        """The newest memory of a worker from before a step, with its step; None if there is none."""

    def write(self, worker: int, step: int, memory: Memory) -> None:
        """Stores what a worker remembers after a step; what it has stored of that step or later ones is of no use any more."""


class Memories:
    """The newest memory of each worker that has led, and the stored ones for steps that are done again.

    Args:
        stored: where they are kept beside; None for nowhere.
    """

    def __init__(self, stored: StoredMemories | None = None) -> None:
        self.stored = stored
        self._newest: dict[int, tuple[int, Memory]] = {}

    def before(self, step: int, worker: int) -> Memory:
        """What `worker` remembers of the steps before `step`, in a dictionary of the caller's own; empty if nothing."""
        newest = self._newest.get(worker)
        if newest is None or newest[0] >= step:
            newest = None if self.stored is None else self.stored.read(worker, before=step)
            self._newest[worker] = newest = newest or (0, {})
        return dict(newest[1])

    def keep(self, step: int, worker: int, memory: Memory) -> None:
        """Notes what `worker` remembers after `step`; it is stored if it is not what it was."""
        _, before = self._newest.get(worker, (0, {}))
        self._newest[worker] = step, dict(memory)
        same = memory.keys() == before.keys() and all(memory[name] is before[name] for name in memory)
        if self.stored is not None and not same:
            self.stored.write(worker, step, memory)
