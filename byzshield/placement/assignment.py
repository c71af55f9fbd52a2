"""Which worker computes which file: the assignment that every scheme returns."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import PlacementError
from byzshield.registry import Registry

__all__ = ["PLACEMENTS", "Assignment", "build", "resolve_sizes"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """A biregular bipartite graph of K workers and f files.

    Each worker computes l files (its load) and each file is computed by r workers (its replication), so K l = f r. A vote
    among the r copies needs r odd.

    Args:
        scheme: the name of the placement that made it.
        files_of: the files of each worker, shape [K, l], ascending in each row, numbered from 0.

    Raises:
        PlacementError: the lists do not make such a graph.
    """

    scheme: str
    files_of: NDArray[np.int64]

    def __post_init__(self) -> None:
        files_of = np.sort(np.array(self.files_of, dtype=np.int64, ndmin=2), axis=1)
        if files_of.size == 0 or files_of.min() < 0:
            raise PlacementError("every worker needs at least one file, numbered from 0")
        if (np.diff(files_of, axis=1) == 0).any():
            raise PlacementError("a worker must not hold a file twice")
        copies = np.bincount(files_of.ravel())
        if copies.min() != copies.max():
            raise PlacementError(f"every file needs equally many workers; got {copies.min()} to {copies.max()}")
        if copies[0] % 2 == 0:
            raise PlacementError(f"replication must be odd, or a vote can tie; got r = {copies[0]}")
        files_of.flags.writeable = False
        object.__setattr__(self, "files_of", files_of)

    @property
    def num_workers(self) -> int:
        """K."""
        return int(self.files_of.shape[0])

    @property
    def load(self) -> int:
        """l, files a worker."""
        return int(self.files_of.shape[1])

    @cached_property
    def num_files(self) -> int:
        """f."""
        return int(self.files_of.max()) + 1

    @property
    def replication(self) -> int:
        """r, workers a file."""
        return self.num_workers * self.load // self.num_files

    @property
    def majority(self) -> int:
        """r' = (r + 1) / 2, the equal copies that decide a file."""
        return (self.replication + 1) // 2

    @cached_property
    def workers_of(self) -> NDArray[np.int64]:
        """The workers of each file, shape [f, r], ascending in each row."""
        workers = np.argsort(self.files_of.ravel(), kind="stable") // self.load
        workers = workers.reshape(self.num_files, self.replication)
        workers.flags.writeable = False
        return workers

    @cached_property
    def incidence(self) -> NDArray[np.int64]:
        """The 0/1 matrix A with A[worker, file] = 1 where the worker holds the file, shape [K, f]."""
        matrix = np.zeros((self.num_workers, self.num_files), dtype=np.int64)
        np.put_along_axis(matrix, self.files_of, 1, axis=1)
        matrix.flags.writeable = False
        return matrix


PLACEMENTS: Registry[Callable[..., Assignment]] = Registry("placement scheme", "byzshield.placement")


def build(scheme: str, **sizes: int | str | None) -> Assignment:
    """Builds a placement by name from whichever sizes are known.

    Sizes that a scheme does not have are ignored, so that one run file serves to compare schemes.

    Args:
        scheme: a registered name, or "module:function".
        sizes: num_workers (K), load (l), replication (r), m, and the path of a custom one; None where unknown.

    Raises:
        PlacementError: no such placement exists; the message says which rule is broken.
    """
    function = PLACEMENTS.get(scheme)
    takes = inspect.signature(function).parameters
    return function(**{name: size for name, size in sizes.items() if name in takes and size is not None})


def resolve_sizes(scheme: str, *, num_workers: int | None, load: int | None, replication: int | None) -> tuple[int, int]:
    """Returns (load, replication) of a scheme with K = r l, from any two of the three sizes.

    Raises:
        PlacementError: fewer than two are known, they disagree, or one is not positive.
    """
    for name, size in (("num_workers", num_workers), ("load", load), ("replication", replication)):
        if size is not None and size < 1:
            raise PlacementError(f"{name} must be at least 1; got {size}")
    if load is None and num_workers is not None and replication is not None:
        load = _quotient(scheme, num_workers, "replication", replication)
    elif replication is None and num_workers is not None and load is not None:
        replication = _quotient(scheme, num_workers, "load", load)
    if load is None or replication is None:
        raise PlacementError(f"{scheme} needs two of load, replication and the number of workers")
    if num_workers is not None and num_workers != load * replication:
        raise PlacementError(
            f"{scheme} needs num_workers = load * replication; got {num_workers} workers, load {load}, "
            f"replication {replication}: use {load * replication} workers"
        )
    return load, replication


def require_odd(replication: int) -> None:
    """Raises PlacementError unless r is odd and at least 1."""
    if replication < 1 or replication % 2 == 0:
        raise PlacementError(f"replication must be odd, or a vote can tie; got r = {replication}")


def is_prime(number: int) -> bool:
    """Whether `number` is prime, by trial division."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _quotient(scheme: str, num_workers: int, name: str, size: int) -> int:
    if num_workers % size:
        raise PlacementError(
            f"{scheme} needs num_workers = load * replication; got {num_workers} workers, which {name} {size} does not divide"
        )
    return num_workers // size


def from_pairs(scheme: str, num_workers: int, pairs: Sequence[tuple[int, int]]) -> Assignment:
    """Builds an assignment from (worker, file) pairs."""
    files_of: list[list[int]] = [[] for _ in range(num_workers)]
    for worker, file in pairs:
        files_of[worker].append(file)
    return Assignment(scheme=scheme, files_of=np.array(files_of))
