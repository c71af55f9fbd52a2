"""evidence.jsonl: who was convicted of what, who came back, and what was done again because of it; nothing is ever removed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from byzshield.errors import StorageError
from byzshield.storage import RecordFile, read_json_lines, unreadable_lines
from byzshield.strict_json import dumps
from byzshield.training.audit import Conviction, Convictions

__all__ = ["EvidenceLog"]


class EvidenceLog:
    """Appends one JSON object an event, and waits until it is on disk: a proof must outlive a crash.

    Events are "conviction" (with what `Conviction.record` says, "by": who computed the gradient, and "back_to": to which step
    training is to go back because of it, if it is), "return" (a worker has served its probation) and "rollback" ("step" to which
    training had come, "to" the step from which it went on, "lines" that record.jsonl had then).

    Args:
        path: the file, which is made with the first event; one that is there is gone on with.

    Raises:
        StorageError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        if lines := unreadable_lines(path):
            raise StorageError(
                f"{path} is damaged: line {lines[0]} is no event; bring back a copy, or start afresh with --overwrite"
            )
        self.events = read_json_lines(path)
        self._found = [event for event in self._since_rollback() if event.get("evidence") == "replay"]  # by the job before
        self._path = path
        self._file: RecordFile | None = None

    @property
    def rollbacks(self) -> list[dict[str, Any]]:
        """The rollbacks so far, oldest first."""
        return [event for event in self.events if event.get("event") == "rollback"]

    def undid(self, state: Mapping[str, Any]) -> bool:
        """Whether a rollback has undone the steps that led to this state of a server."""
        return any(event["to"] < state["step"] for event in self.rollbacks[state.get("attempt", 0) :])

    @property
    def unfinished(self) -> int | None:
        """To which step a job that was killed was about to go back; None if it was not."""
        return next((event["back_to"] for event in reversed(self._since_rollback()) if "back_to" in event), None)

    def convict(self, *convictions: Conviction, back_to: int | None = None) -> None:
        """Notes proofs; what a replay finds that was broken off, and finds again when it goes on, is noted once.

        Args:
            convictions: the proofs; whatever moment the job is killed at, all of them are noted or none.
            back_to: the step to which training is to go back because of them; None if it is not.
        """
        events = [{"event": "conviction", **conviction.record(), "by": "server"} for conviction in convictions]
        if back_to is not None:
            events = [{**event, "back_to": back_to} for event in events]
        self._append(*(event for event in events if event not in self._found))

    def take_back(self, workers: Iterable[int], step: int) -> None:
        """Notes who has served its probation."""
        for worker in workers:
            self._append({"event": "return", "step": step, "worker": worker})

    def go_back(self, step: int, *, to: int, lines: int = 0) -> None:
        """Notes that training goes back.

        Args:
            step: to which it had come.
            to: from which it goes on.
            lines: that record.jsonl has, with which those to come are compared.
        """
        self._append({"event": "rollback", "step": step, "to": to, "lines": lines})
        self._found = []

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

    def _since_rollback(self) -> list[dict[str, Any]]:
        last = max((place for place, event in enumerate(self.events) if event.get("event") == "rollback"), default=-1)
        return self.events[last + 1 :]

    def _append(self, *events: dict[str, Any]) -> None:
        if len(events) == 1 and self._file is not None:
            self._file.append(_as_lines(events))
            self._file.sync()
        elif events:  # a write of several lines that is cut short may leave some of them
            self.close()
            self._file = RecordFile(self._path, _as_lines((*self.events, *events)))
        self.events += events


def _as_lines(events: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(dumps(event) + "\n" for event in events).encode()
