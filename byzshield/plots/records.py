"""What a run has recorded beside its metrics: placement.json, agreement.json and jobs.jsonl; earlier versions have not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byzshield.plots.runs import Run
from byzshield.storage import read_json_lines

__all__ = ["Agreement", "Placement", "read_agreement", "read_jobs", "read_placement"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Who computed which file, and who lied, in the first step.

    Args:
        scheme: of the placement.
        num_files: f.
        files_of: the files of each worker.
        byzantine: the Byzantine workers.
        corrupted: the files of which they hold a majority.
        changes: whether workers change their places at each step.
    """

    scheme: str
    num_files: int
    files_of: tuple[tuple[int, ...], ...]
    byzantine: tuple[int, ...]
    corrupted: tuple[int, ...]
    changes: bool

    @property
    def num_workers(self) -> int:
        """K."""
        return len(self.files_of)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Who voted like whom.

    Args:
        step: until which votes were compared.
        pairs: (i, j, files on which both voted, those of them on which not alike) for workers i < j.
    """

    step: int
    pairs: tuple[tuple[int, int, int, int], ...]


def read_placement(run: Run) -> Placement | None:
    """The placement of a run; None where it is not recorded, or not in order."""
    found = _document(run, "placement.json")
    try:
        placement = Placement(
            scheme=str(found["scheme"]),
            num_files=int(found["num_files"]),
            files_of=tuple(tuple(map(int, files)) for files in found["files_of"]),
            byzantine=tuple(map(int, found["byzantine"])),
            corrupted=tuple(map(int, found["corrupted_files"])),
            changes=bool(found.get("permuted")),
        )
    except (KeyError, TypeError, ValueError):
        return None
    copies = sum(map(len, placement.files_of))
    files = {*placement.corrupted, *(file for files in placement.files_of for file in files)}
    sound = 0 < placement.num_files <= copies and _within(files, placement.num_files)
    return placement if sound and _within(placement.byzantine, placement.num_workers) else None


def read_agreement(run: Run, num_workers: int) -> Agreement | None:
    """The comparison of a run's votes; None where it is not recorded, or not in order."""
    found = _document(run, "agreement.json")
    try:
        pairs = tuple((int(low), int(high), int(common), int(unlike)) for low, high, common, unlike in found["pairs"])
        sound = all(0 <= low < high < num_workers and 0 <= unlike <= common for low, high, common, unlike in pairs)
        return Agreement(step=int(found["step"]), pairs=pairs) if sound and pairs else None
    except (KeyError, TypeError, ValueError):
        return None


def read_jobs(run: Run) -> list[dict[str, Any]]:
    """The jobs that have worked on a run, each with its first step, command, host, versions and commit; the oldest first."""
    return [] if run.path is None else _read(run.path / "jobs.jsonl", read_json_lines, [])


def _document(run: Run, name: str) -> dict[str, Any]:
    found = None if run.path is None else _read(run.path / name, lambda path: json.loads(path.read_bytes()), None)
    return found if isinstance(found, dict) else {}


def _read(path: Path, parse: Any, otherwise: Any) -> Any:
    try:
        return parse(path)
    except (OSError, ValueError, RecursionError):
        return otherwise


def _within(numbers: Sequence[int] | set[int] | tuple[int, ...], limit: int) -> bool:
    return all(0 <= number < limit for number in numbers)
