"""Which worker computes which file: the assignment that every scheme returns."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.arguments import checked
from byzshield.errors import ParameterError, PlacementError
from byzshield.registry import Registry

__all__ = ["PLACEMENTS", "Assignment", "build"]

MOST_ANALYZED = 20_000_000_000  # K^2 max(K, f)


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """A biregular bipartite graph of K workers and f files.

    Each worker computes l files (its load) and each file is computed by r workers (its replication), so K l = f r. A vote
    among the r copies decides a file if r is odd. Where somebody arbitrates who can compute the file, a disagreement is settled
    by whoever is right, so that only copies that all agree are believed: then r may be even.

    Args:
        scheme: the name of the placement that made it.
        files_of: the files of each worker, shape [K, l], ascending in each row, numbered from 0.
        threshold: the copies in Byzantine hands that corrupt a file: a majority, or with arbitration (or an even r) all r.

    Raises:
        PlacementError: the lists do not make such a graph, or the threshold is no majority of the copies.
    """

    scheme: str
    files_of: NDArray[np.int64]
    threshold: int = 0

    def __post_init__(self) -> None:
        files_of = np.sort(np.array(self.files_of, dtype=np.int64, ndmin=2), axis=1)
        if files_of.size == 0 or files_of.min() < 0:
            raise PlacementError("every worker needs at least one file, numbered from 0")
        if (np.diff(files_of, axis=1) == 0).any():
            raise PlacementError("a worker must not hold a file twice")
        if files_of.max() >= files_of.size:
            raise PlacementError(f"files are numbered from 0 without gaps; got file {files_of.max()}, of {files_of.size} copies")
        copies = np.bincount(files_of.ravel())
        if copies.min() != copies.max():
            raise PlacementError(f"every file needs equally many workers; got {copies.min()} to {copies.max()}")
        files_of.flags.writeable = False
        object.__setattr__(self, "files_of", files_of)
        replication = int(copies[0])
        if not self.threshold:
            object.__setattr__(self, "threshold", self.majority if replication % 2 else replication)
        if not self.majority <= self.threshold <= replication:
            raise PlacementError(f"the threshold must be a majority of {replication} copies; got {self.threshold}")

    def arbitrated(self) -> "Assignment":
        """The same where somebody settles every disagreement: only copies of which all agree are believed.

        >>> from byzshield.placement import mols
        >>> mols(5, 3).threshold, mols(5, 3).arbitrated().threshold
        (2, 3)
        """
        return replace(self, threshold=self.replication)

    def at(self, step: int) -> "Assignment":
        """The assignment of a training step; this one, unless workers change their places."""
        return self

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
        """r' = floor(r / 2) + 1, the equal copies that decide a file."""
        return self.replication // 2 + 1

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

    @cached_property
    def shared(self) -> NDArray[np.int64]:
        """Files that two workers share, A A^T, shape [K, K]; the diagonal is l. O(K^2 + f r^2).

        Raises:
            PlacementError: K^2 max(K, f) is more than MOST_ANALYZED, so that this and what it is for would take minutes.
        """
        if self.num_workers**2 * max(self.num_workers, self.num_files) > MOST_ANALYZED:
            raise PlacementError(
                f"a placement is analyzed up to K^2 max(K, f) = {MOST_ANALYZED:,}; got {self.scheme} with K = {self.num_workers} "
                f"workers and f = {self.num_files} files"
            )
        shared = np.zeros((self.num_workers, self.num_workers), dtype=np.int64)
        for holders in self.workers_of.T:  # pair by pair of holders: the product of the matrices would take K^2 f
            pairs = holders[:, None] * self.num_workers + self.workers_of
            shared += np.bincount(pairs.ravel(), minlength=shared.size).reshape(shared.shape)
        shared.flags.writeable = False
        return shared

    def as_json(self) -> dict[str, Any]:
        """Sizes and lists of files, ready for JSON, as scheme "custom" reads them."""
        return {
            "scheme": self.scheme,
            "num_workers": self.num_workers,
            "num_files": self.num_files,
            "load": self.load,
            "replication": self.replication,
            "files_of": self.files_of.tolist(),
        }

    @checked
    def require_workers(self, num_byzantine: int) -> None:
        """Raises ParameterError unless 0 <= q <= K."""
        if not 0 <= num_byzantine <= self.num_workers:
            raise ParameterError(f"num_byzantine must be between 0 and the {self.num_workers} workers; got {num_byzantine}")


PLACEMENTS: Registry[Callable[..., Assignment]] = Registry("placement scheme", "byzshield.placement", checks_arguments=True)


def build(scheme: str, **sizes: int | str | None) -> Assignment:
    """Builds a placement by name from whichever sizes are known.

    Sizes that a scheme does not have are ignored, so that one run file serves to compare schemes.

    Args:
        scheme: a registered name, or "module:function".
        sizes: num_workers (K), load (l), replication (r), m, and the path of a custom one; None where unknown.

    Raises:
        PlacementError: no such placement exists; the message says which rule is broken.
        ConfigError: there is no such scheme, or the user's own function fails.
    """
    function = PLACEMENTS.get(scheme)
    try:
        signature = inspect.signature(function)
        known = {name: size for name, size in sizes.items() if name in signature.parameters and size is not None}
        signature.bind(**known)
    except (TypeError, ValueError) as error:  # it cannot be called, or needs more than the sizes that are known
        raise PlacementError(f"scheme {scheme!r} cannot be built: {error}") from error
    with PLACEMENTS.calling(scheme):
        assignment = function(**known)
    if not isinstance(assignment, Assignment):
        raise PlacementError(f"scheme {scheme!r} must return an Assignment; got {type(assignment).__name__}")
    return assignment
