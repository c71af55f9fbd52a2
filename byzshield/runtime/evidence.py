"""evidence.jsonl: who was convicted of what, who came back, and what was done again because of it; nothing is ever removed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from byzshield.errors import StorageError
from byzshield.storage import RecordFile, read_json_lines
from byzshield.strict_json import dumps
from byzshield.training.audit import Conviction, Convictions

__all__ = ["EvidenceLog"]


class EvidenceLog:
    """Appends one JSON object an event, and waits until it is on disk: a proof must outlive a crash.

    Events are "conviction" (with what `Conviction.record` says, and "by": who computed the gradient), "return" (a worker has
    served its probation) and "rollback" ("step" to which training had come, "to" the step from which it went on).

    Args:
        path: the file, which is made with the first event; one that is there is gone on with.
    """

    def __init__(self, path: Path) -> None:
        self.events = read_json_lines(path)
        self._path = path
        self._file: RecordFile | None = None

    @property
    def rollbacks(self) -> list[dict[str, Any]]:
        """The rollbacks so far, oldest first."""
        return [event for event in self.events if event.get("event") == "rollback"]

    def undid(self, state: Mapping[str, Any]) -> bool:
        """Whether a rollback has undone the steps that led to this state of a server."""
        return any(event["to"] < state["step"] for event in self.rollbacks[state.get("attempt", 0) :])

    def convict(self, conviction: Conviction) -> None:
        """Notes a proof."""
        self._append({"event": "conviction", **conviction.record(), "by": "server"})

    def take_back(self, workers: Iterable[int], step: int) -> None:
        """Notes who has served its probation."""
        for worker in workers:
            self._append({"event": "return", "step": step, "worker": worker})

    def go_back(self, step: int, *, to: int) -> None:
        """Notes that training goes back."""
        self._append({"event": "rollback", "step": step, "to": to})

    def restore(self, convictions: Convictions) -> None:
        """Expels again whom a proof convicts that is younger than the checkpoint.

        Raises:
            StorageError: the file is damaged.
        """
        latest: dict[int, dict[str, Any]] = {}
        try:
            for event in self.events:
                if event["event"] in ("conviction", "return"):
                    latest[event["worker"]] = event
            for worker, event in sorted(latest.items()):
                if event["event"] == "conviction" and worker not in convictions.expelled:
                    convictions.add(Conviction.of(event))
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"{self._path} is damaged: {type(error).__name__}: {error}; bring back a copy, or remove it"
            ) from error

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _append(self, event: dict[str, Any]) -> None:
        if self._file is None:
            self._file = RecordFile(self._path, "".join(dumps(each) + "\n" for each in self.events).encode())
        self._file.append((dumps(event) + "\n").encode())
        self._file.sync()
        self.events.append(event)
