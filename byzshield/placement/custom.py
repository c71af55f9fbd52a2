"""A user's own assignment, read from a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment

__all__ = ["custom"]


@PLACEMENTS.register("custom")
def custom(path: str | None = None) -> Assignment:
    """Reads which worker computes which file from a .json or .npy file.

    JSON: {"files_of": [[0, 1], ...]}, one list of files a worker (what `placement --json` writes), or {"incidence":
    [[1, 0], ...]}, one row a worker and one column a file. NumPy: the incidence as a 0/1 matrix of shape [K, f].

    Args:
        path: the file.

    Raises:
        PlacementError: the file cannot be read, or does not describe a biregular graph.
    """
    if path is None:
        raise PlacementError("custom needs the path of a .json or .npy file that says which worker computes which file")
    suffix = Path(path).suffix
    if suffix not in (".json", ".npy"):
        raise PlacementError(f"a custom placement is read from a .json or .npy file; got {path}")
    try:
        # Mapped, not loaded: a header that claims more than the file holds is an error, and allocates nothing.
        files_of = _from_json(path) if suffix == ".json" else _from_incidence(np.lib.format.open_memmap(path, mode="r"))
        return Assignment(scheme="custom", files_of=files_of)
    except PlacementError as error:
        raise PlacementError(f"{path}: {error}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PlacementError(f"{path} cannot be read as a placement: {error}") from error


def _from_json(path: str) -> NDArray[np.int64]:
    document: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    if isinstance(document, dict) and "files_of" in document:
        return _rectangle(document["files_of"], "files_of")
    if isinstance(document, dict) and "incidence" in document:
        return _from_incidence(_rectangle(document["incidence"], "incidence"))
    raise PlacementError('the JSON document needs "files_of" (a list of files for each worker) or "incidence" (rows of 0 and 1)')


def _rectangle(rows: Any, name: str) -> NDArray[np.int64]:
    """Integers, row by row, all rows equally long."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise PlacementError(f"{name} must be a list with one list for each worker")
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise PlacementError(f"the lists of {name} must be equally long; got {lengths[0]} to {lengths[-1]} entries")
    if not all(type(entry) is int and abs(entry) < 2**31 for row in rows for entry in row):
        raise PlacementError(f"the entries of {name} must be integers")
    return np.array(rows, dtype=np.int64)


def _from_incidence(matrix: NDArray[Any]) -> NDArray[np.int64]:
    if matrix.ndim != 2 or matrix.size == 0 or matrix.dtype.kind not in "biuf" or not np.isin(matrix, (0, 1)).all():
        raise PlacementError(f"an incidence matrix holds 0 and 1, a row a worker and a column a file; got shape {matrix.shape}")
    loads = np.count_nonzero(matrix, axis=1)
    if loads.min() != loads.max():
        raise PlacementError(f"every worker needs equally many files; got {loads.min()} to {loads.max()}")
    if not matrix.any(axis=0).all():
        raise PlacementError("every file needs a worker; got a column of zeros")
    return np.nonzero(matrix)[1].reshape(len(matrix), int(loads[0]))
