"""record.jsonl: what each step was decided by, in a chain of digests, so that anybody can check a run or a part of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from blake3 import blake3

from byzshield.aggregation import Aggregate
from byzshield.errors import StorageError
from byzshield.models import FlatModel
from byzshield.storage import RecordFile, read_json_lines
from byzshield.strict_json import dumps
from byzshield.voting import Ballot
from byzshield.wire import digest

__all__ = ["RunRecord", "aggregate_digest", "commitment", "effective", "links", "weights_digest"]

CHAIN: Final = "chain"


def commitment(vote: bytes) -> str:
    """32 bytes in hexadecimal that stand for the digests of all chunks of a gradient."""
    return blake3(vote).hexdigest()


def aggregate_digest(aggregate: Aggregate) -> str | None:
    """Digest of a combined gradient, in hexadecimal; None of a step that is skipped."""
    return None if aggregate.vector is None else commitment(digest(aggregate.vector))


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """BLAKE3 of a network's parameters and buffers with their names, in hexadecimal."""
    hasher = blake3()
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous().reshape(-1)
        hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        if values.numel():
            hasher.update(values.view(torch.uint8).numpy().data)
    return hasher.hexdigest()


class RunRecord:
    """Appends one line a step: what won, who voted for it and who did not, what came of it, and the digest of all lines so far.

    The first line, of step 0 or of the step with which the run begins, has the digest of the weights alone. A step that was done
    again, after a rollback or a crash, has another line; what counts is the last one of each step, and what a step back leaves of
    those behind it: nothing.

    Args:
        path: the file; one that is there is gone on with.
        step: behind which the job goes on.
        model: of that step.
        before: lines that the file had when training last went back; those of steps that are still to be done again are compared
            with what comes, although a job that was broken off has begun to do them.

    Raises:
        StorageError: it cannot be written, or no longer is what was written.
    """

    def __init__(self, path: Path, *, step: int, model: FlatModel, before: int = 0) -> None:
        lines = read_json_lines(path)
        if not all(links(lines)):
            raise StorageError(
                f"{path} is damaged: its lines do not make a chain; bring back a copy, or start afresh with --overwrite"
            )
        self._path = path
        self._head = lines[-1][CHAIN] if lines else ""
        self._now: dict[int, dict[str, Any]] = {}  # the lines of the last two steps
        self._then: dict[int, dict[str, Any]] = {}  # earlier lines of steps that are done again, and of the one before them
        self._file = RecordFile(path, "".join(dumps(line) + "\n" for line in lines).encode())
        self.num_lines = len(lines)
        self._begin(step, model, lines)
        first_time = {line["step"]: line for line in effective(lines[:before]) if line["step"] >= step}
        self.replays = max(first_time, default=step) > step
        """Whether the job goes on among steps that were to be done again."""
        if self.replays:
            self._then |= first_time

    def go_back(self, step: int, model: FlatModel) -> None:
        """Goes on behind an earlier step, whose weights the model has."""
        self._begin(step, model, read_json_lines(self._path))

    def _begin(self, step: int, model: FlatModel, recorded: Iterable[Mapping[str, Any]]) -> None:
        """Goes on behind a step; what the file has of later ones is compared with what comes."""
        lines = {line["step"]: line for line in effective(recorded)}
        self._then = {number: line for number, line in lines.items() if number >= step}
        if step in lines:
            self._now = {step: lines[step]}
        else:
            self._append({"step": step, "weights": weights_digest(model.module.state_dict())})

    def add(
        self, step: int, ballots: Sequence[Ballot[bytes]], undecided: Iterable[int], aggregate: Aggregate, model: FlatModel
    ) -> None:
        """Notes a step.

        Args:
            step: its number.
            ballots: the votes on each file.
            undecided: files without a winner.
            aggregate: what was made of the winners.
            model: after the step.
        """
        missing = set(undecided)
        self._append(
            {
                "step": step,
                "weights": weights_digest(model.module.state_dict()),
                "aggregate": aggregate_digest(aggregate),
                "winners": [
                    None if file in missing or ballot.winner is None else commitment(ballot.winner)
                    for file, ballot in enumerate(ballots)
                ],
                "supporters": [ballot.supporters for ballot in ballots],
                "dissent": {
                    str(file): {str(worker): commitment(ballot.votes[worker]) for worker in ballot.dissenters}
                    for file, ballot in enumerate(ballots)
                    if ballot.dissenters
                },
            }
        )

    def lies_before(self, step: int, workers: Iterable[int]) -> list[tuple[int, int, str, str]]:
        """What some workers had voted for in a step that was done again, where it differs from what won without them.

        Returns:
            worker, file, its commitment, and the winner's; none if the weights were others then, so that nothing can be compared.
        """
        now, then, before = self._now[step], self._then.get(step), self._now.get(step - 1, {})
        if then is None or "winners" not in then or self._then.get(step - 1, before).get("weights") != before.get("weights"):
            return []
        found = []
        for file, winner in enumerate(now["winners"]):
            votes = dict.fromkeys(then["supporters"][file], then["winners"][file])
            votes |= {int(worker): vote for worker, vote in then["dissent"].get(str(file), {}).items()}
            liars = [worker for worker in workers if winner is not None and votes.get(worker, winner) != winner]
            found += [(worker, file, votes[worker], winner) for worker in liars]
        return found

    def sync(self) -> None:
        """Waits until all lines are on disk."""
        self._file.sync()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _append(self, line: dict[str, Any]) -> None:
        line[CHAIN] = self._head = _link(self._head, line)
        self._file.append((dumps(line) + "\n").encode())
        self.num_lines += 1
        step = line["step"]
        self._now = {number: each for number, each in self._now.items() if number == step - 1} | {step: line}


def effective(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The lines that count, ascending by step: the last of each step, without what lies behind a step that came after it."""
    kept: list[dict[str, Any]] = []
    for line in lines:
        while kept and kept[-1]["step"] >= line["step"]:
            kept.pop()
        kept.append(dict(line))
    return kept


def links(lines: Iterable[Mapping[str, Any]]) -> list[bool]:
    """For each line whether it has the digest of itself and all before it."""
    head, found = "", []
    for line in lines:
        found.append(line.get(CHAIN) == _link(head, line))
        head = str(line.get(CHAIN))
    return found


def _link(head: str, line: Mapping[str, Any]) -> str:
    content = {key: value for key, value in line.items() if key != CHAIN}
    return blake3((head + json.dumps(content, sort_keys=True)).encode()).hexdigest()
