"""Plans a cluster: every placement that fits K workers, what q Byzantine ones do to it, what it costs, and which to take."""

from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from byzshield.distortion.bounds import epsilon_baseline, epsilon_frc
from byzshield.distortion.result import WorstCase
from byzshield.distortion.worst_case import worst_case
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, fitting_placements
from byzshield.planning.cost import Cluster, Cost, cost_of

__all__ = ["Option", "Plan", "plan"]

MOST_PARAMETERS = 10**15
TYPICAL = Cluster()


@dataclass(frozen=True, kw_only=True)
class Option:
    """One placement of a plan.

    Args:
        assignment: the placement.
        worst: what q Byzantine workers do to it at worst.
        cost: what a step costs.
    """

    assignment: Assignment
    worst: WorstCase
    cost: Cost

    @property
    def epsilon(self) -> float:
        """The proved upper bound on the fraction of corrupted files; the fraction itself where the search is exact."""
        return self.worst.upper_bound / self.assignment.num_files

    @property
    def honest_majority(self) -> bool:
        """Whether fewer than half of the files can be corrupted; no rule that treats files alike tolerates more."""
        return 2 * self.worst.upper_bound < self.assignment.num_files

    def as_json(self) -> dict[str, Any]:
        """The row of `plan --json`."""
        assignment, worst = self.assignment, self.worst
        row = {
            "scheme": assignment.scheme,
            "num_workers": assignment.num_workers,
            "num_files": assignment.num_files,
            "load": assignment.load,
            "replication": assignment.replication,
            "c_max": worst.c_max,
            "epsilon": round(worst.epsilon, 4),
            "exact": worst.exact,
            "honest_majority": self.honest_majority,
            **asdict(self.cost),
        }
        row["step_seconds_digest"] = round(self.cost.step_seconds_digest, 4)
        row["step_seconds_full"] = round(self.cost.step_seconds_full, 4)
        if not worst.exact:
            row["upper_bound"] = worst.upper_bound
        return row


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options, best first, and the one that is recommended.

    Args:
        num_workers: K that was asked for.
        num_byzantine: q.
        cluster: what the costs are predicted for.
        options: those with an honest majority first; then ascending by (epsilon, step time in digest mode).
        recommended: the first option that has an honest majority and at most K workers, or None.
        reason: one sentence.
    """

    num_workers: int
    num_byzantine: int
    cluster: Cluster
    options: tuple[Option, ...]
    recommended: Option | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The JSON document of `plan --json`; `recommended` is a place in `rows`, or null."""
        return {
            "num_workers": self.num_workers,
            "num_byzantine": self.num_byzantine,
            **asdict(self.cluster),
            "rows": [option.as_json() | {"recommended": option is self.recommended} for option in self.options],
            "recommended": None if self.recommended is None else self.options.index(self.recommended),
            "reason": self.reason,
        }


def plan(
    workers: int,
    byzantine: int,
    cluster: Cluster = TYPICAL,
    *,
    most_copies: int = 7,
    slack: int | None = None,
    time_limit: float | None = 2.0,
) -> Plan:
    """Compares the placements that fit K workers, exactly or nearly.

    Args:
        workers: K >= 1.
        byzantine: q, 0 <= q < K.
        cluster: what to predict costs for; by default a ResNet-18 behind a link of 10 Gbit/s.
        most_copies: the largest replication to consider; every copy is computed anew.
        slack: by how many workers a placement may differ from K, 0 to K; None for a tenth of K, at least 1.
        time_limit: seconds of search for each placement; a row that needs more has a proved bound instead of the exact value.

    Raises:
        ParameterError: K, q, the slack or a number of the cluster is out of range.
        PlacementError: K is so large that a placement cannot be analyzed.
    """
    spare = max(1, workers // 10) if slack is None else slack
    _check(workers, byzantine, cluster, most_copies, spare)
    options = [
        Option(
            assignment=assignment,
            worst=worst_case(assignment, num_byzantine=byzantine, time_limit=time_limit),
            cost=cost_of(assignment, cluster),
        )
        for assignment in fitting_placements(workers, most_copies=most_copies, slack=spare)
        if byzantine <= assignment.num_workers
    ]
    options.sort(key=lambda option: (not option.honest_majority, option.epsilon, option.cost.step_seconds_digest))
    usable = [option for option in options if option.honest_majority and option.assignment.num_workers <= workers]
    recommended = usable[0] if usable else None
    return Plan(
        num_workers=workers,
        num_byzantine=byzantine,
        cluster=cluster,
        options=tuple(options),
        recommended=recommended,
        reason=_too_many(workers, byzantine, options) if recommended is None else _why(recommended, byzantine),
    )


def _check(num_workers: int, num_byzantine: int, cluster: Cluster, most_copies: int, slack: int) -> None:
    if num_workers < 1:
        raise ParameterError(f"a plan needs at least 1 worker; got {num_workers}")
    if not 0 <= num_byzantine < num_workers:
        raise ParameterError(f"num_byzantine must be at least 0 and less than the {num_workers} workers; got {num_byzantine}")
    if most_copies < 1:
        raise ParameterError(f"the largest replication must be at least 1; got {most_copies}")
    if not 0 <= slack <= num_workers:
        raise ParameterError(f"the slack must be between 0 and the {num_workers} workers; got {slack}")
    if not 1 <= cluster.num_parameters <= MOST_PARAMETERS:
        raise ParameterError(f"a plan needs 1 to {MOST_PARAMETERS:,} parameters; got {cluster.num_parameters}")
    if not 1 <= cluster.bandwidth < inf:
        raise ParameterError(f"a plan needs a finite bandwidth of at least 1 bit per second; got {cluster.bandwidth}")
    if not 0 <= cluster.gradient_seconds < inf:
        raise ParameterError(f"a plan needs a finite gradient time of at least 0 seconds; got {cluster.gradient_seconds}")


def _why(option: Option, num_byzantine: int) -> str:
    assignment = option.assignment
    others = [f"{epsilon_baseline(num_byzantine, assignment.num_workers):.3f} without redundancy"]
    in_groups = epsilon_frc(num_byzantine, assignment.num_workers, assignment.replication)
    if in_groups is not None and assignment.replication > 1 and assignment.scheme != "frc":
        others.append(f"{in_groups:.3f} in groups of {assignment.replication}")
    at_most = "" if option.worst.exact else "at most "
    return (
        f"{assignment.scheme} with {assignment.num_workers} workers, load {assignment.load} and replication "
        f"{assignment.replication} has the smallest worst case: {num_byzantine} Byzantine workers corrupt "
        f"{at_most}{option.worst.upper_bound} of {assignment.num_files} files (epsilon {option.epsilon:.3f}, against "
        f"{' and '.join(others)}) for {assignment.replication} times the computation of one batch."
    )


def _too_many(num_workers: int, num_byzantine: int, options: list[Option]) -> str:
    least = min((option.epsilon for option in options if option.assignment.num_workers <= num_workers), default=1.0)
    return (
        f"{num_byzantine} Byzantine workers are more than any of these placements of {num_workers} workers tolerates: they may "
        f"corrupt {least:.3f} of the files or more, and no rule tolerates half; use more workers or a larger replication."
    )
