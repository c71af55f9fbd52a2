"""The rows of a distortion table: one for each q, beside the closed forms, as people and other tools read them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from byzshield.distortion.bounds import bound_from_fewer, epsilon_baseline, epsilon_frc, floor_of, spectral_bound
from byzshield.distortion.result import SearchInterrupted, WorstCase
from byzshield.distortion.worst_case import worst_case
from byzshield.placement import Assignment, spectrum

__all__ = ["Row", "document", "rows"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What q Byzantine workers can do to an assignment, and to simpler ones of the same K and r.

    Args:
        result: the worst case.
        spectral_bound: gamma, or None where r = 1.
        epsilon_baseline: the fraction they corrupt without redundancy.
        epsilon_frc: the fraction they corrupt in groups of r, or None where r does not divide K.
        seconds: what the row took.
        interrupted: whether Ctrl-C ended the search, and with it the table.
    """

    result: WorstCase
    spectral_bound: float | None
    epsilon_baseline: float
    epsilon_frc: float | None
    seconds: float
    interrupted: bool

    def as_json(self) -> dict[str, Any]:
        """The row of `distortion --json`; `upper_bound` only where the result is not exact."""
        result = self.result
        row: dict[str, Any] = {
            "q": result.num_byzantine,
            "c_max": result.c_max,
            "epsilon": round(result.epsilon, 4),
            "exact": result.exact,
            "witness": list(result.witness),
            "spectral_bound": None if self.spectral_bound is None else round(self.spectral_bound, 2),
            "epsilon_baseline": round(self.epsilon_baseline, 4),
            "epsilon_frc": None if self.epsilon_frc is None else round(self.epsilon_frc, 4),
        }
        if not result.exact:
            row["upper_bound"] = result.upper_bound
        return row


def rows(
    assignment: Assignment, numbers: Iterable[int], *, time_limit: float | None = None, use_cache: bool = True
) -> Iterator[Row]:
    """Yields the row of each q as soon as it is known.

    Ctrl-C during a long search yields the row as far as it is known, and ends the table.

    Args:
        assignment: the placement.
        numbers: the values of q; ascending ones let each row use the bound that the row before it implies.
        time_limit: seconds for each row.
        use_cache: as in `worst_case`.
    """
    mu1 = spectrum(assignment).mu1
    before: WorstCase | None = None
    for num_byzantine in numbers:
        start = time.perf_counter()
        gamma = spectral_bound(assignment, num_byzantine, mu1)
        at_most = assignment.num_files if gamma is None else min(assignment.num_files, floor_of(gamma))
        if before is not None and before.num_byzantine == num_byzantine - 1 and num_byzantine > assignment.threshold:
            at_most = min(at_most, bound_from_fewer(before.upper_bound, num_byzantine, assignment.threshold))
        interrupted = False
        try:
            before = worst_case(
                assignment, num_byzantine=num_byzantine, time_limit=time_limit, at_most=at_most, use_cache=use_cache
            )
        except SearchInterrupted as stop:
            before, interrupted = stop.known, True
        yield Row(
            result=before,
            spectral_bound=gamma,
            epsilon_baseline=epsilon_baseline(num_byzantine, assignment.num_workers),
            epsilon_frc=epsilon_frc(num_byzantine, assignment.num_workers, assignment.replication, assignment.threshold),
            seconds=time.perf_counter() - start,
            interrupted=interrupted,
        )
        if interrupted:
            return


def document(assignment: Assignment, table: Iterable[Row]) -> dict[str, Any]:
    """The JSON document of `distortion --json`."""
    known = list(table)
    unusual = assignment.threshold != assignment.majority
    return {
        "scheme": assignment.scheme,
        "num_workers": assignment.num_workers,
        "num_files": assignment.num_files,
        "load": assignment.load,
        "replication": assignment.replication,
        **({"threshold": assignment.threshold} if unusual else {}),
        "seconds": round(sum(row.seconds for row in known), 3),
        "rows": [row.as_json() for row in known],
    }
