"""Proved results on disk, so that no machine has to search for one twice."""

import hashlib
import json
from pathlib import Path

import numpy as np

from byzshield.distortion.result import WorstCase, corrupted_files, result_of
from byzshield.log import get_logger
from byzshield.placement import Assignment
from byzshield.storage import cache_directory, write_text

__all__ = ["load", "store"]

FORMAT = 1

logger = get_logger(__name__)


def load(assignment: Assignment, num_byzantine: int) -> WorstCase | None:
    """The stored result, or None. A file that is missing, damaged, or whose witness does not do what it says is ignored."""
    try:
        record = json.loads(_path(assignment, num_byzantine).read_text(encoding="utf-8"))
        if record["format"] != FORMAT or record["num_byzantine"] != num_byzantine:
            return None
        witness, c_max = record["witness"], record["c_max"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (isinstance(witness, list) and all(type(worker) is int for worker in witness) and type(c_max) is int):
        return None
    ascending = sorted(set(witness)) == witness and len(witness) == num_byzantine
    if not ascending or not all(0 <= worker < assignment.num_workers for worker in witness):
        return None
    if len(corrupted_files(assignment, witness)) != c_max:
        return None
    return result_of(assignment, witness, c_max)


def store(assignment: Assignment, result: WorstCase) -> None:
    """Keeps a proved result; where the directory cannot be written to, the log says so and the result is not kept."""
    if not result.exact:
        raise ValueError("only proved results are kept")
    path = _path(assignment, result.num_byzantine)
    record = {
        "format": FORMAT,
        "num_byzantine": result.num_byzantine,
        "c_max": result.c_max,
        "witness": list(result.witness),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record))
    except OSError as error:
        logger.info("the result is not kept: %s", error)


def _path(assignment: Assignment, num_byzantine: int) -> Path:
    """One file a result, named by the assignment's incidences and q; the scheme's name does not matter."""
    shape = f"{assignment.num_workers} {assignment.load}".encode()
    content = np.ascontiguousarray(assignment.files_of, dtype="<i8").tobytes()
    digest = hashlib.sha256(shape + b"\n" + content).hexdigest()[:40]
    ending = "" if assignment.threshold == assignment.majority else f"-{assignment.threshold}"
    return cache_directory() / "distortion" / f"{digest}-{num_byzantine}{ending}.json"
