"""Plans a cluster: every placement that fits K workers, what q Byzantine ones do to it, what it costs, and which to take."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Final, Literal, get_args

from byzshield.arguments import checked
from byzshield.distortion.worst_case import worst_case
from byzshield.errors import ParameterError, PlacementError
from byzshield.placement import Assignment, fitting_placements
from byzshield.planning import reasons
from byzshield.planning.cost import Cluster, cost_of
from byzshield.planning.option import Audit, Option
from byzshield.planning.rules import most_wrong

__all__ = ["ACCEPTED", "ORDERS", "Order", "Plan", "plan"]

MOST_PARAMETERS: Final = 10**15
TYPICAL: Final = Cluster()
ACCEPTED: Final = 0.15  # of the files; docs/planning.md says why

Order = Literal["epsilon", "cost", "memory"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
KEYS: Final[dict[Order, Callable[[Option], tuple[float, ...]]]] = {
    "epsilon": lambda option: (option.epsilon, option.seconds),
    "cost": lambda option: (option.seconds, option.epsilon),
    "memory": lambda option: (option.server_memory_bytes, option.seconds),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options, and the one that is recommended.

    Args:
        num_workers: K that was asked for.
        num_byzantine: q.
        cluster: what the costs are predicted for.
        accept: the share of wrong files up to which the faster option is the better one.
        options: those that some rule bears first; then in the order that was asked for.
        left_out: placements that are too large to be analyzed.
        recommended: of the options that need at most K workers and that some rule bears, the fastest whose worst case is
            within `accept`; if there is none, the one with the smallest worst case; None if no rule bears any.
        tolerated: the most Byzantine workers that its rule is known to bear; a time limit may have kept more from being known.
        reason: why, in a few sentences.
        remarks: what a change of mind would cost, and why workers are left idle; a sentence each.
    """

    num_workers: int
    num_byzantine: int
    cluster: Cluster
    accept: float
    options: tuple[Option, ...]
    left_out: tuple[Assignment, ...]
    recommended: Option | None
    tolerated: int | None
    reason: str
    remarks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The JSON document of `plan --json`; `recommended` is a place in `rows`, or null."""
        return {
            "num_workers": self.num_workers,
            "num_byzantine": self.num_byzantine,
            "accept": self.accept,
            **asdict(self.cluster),
            "rows": [option.as_json() | {"recommended": option is self.recommended} for option in self.options],
            "recommended": None if self.recommended is None else self.options.index(self.recommended),
            "tolerated": self.tolerated,
            "reason": self.reason,
            "remarks": list(self.remarks),
        }


@checked
def plan(
    workers: int,
    byzantine: int,
    cluster: Cluster = TYPICAL,
    *,
    most_copies: int = 7,
    slack: int | None = None,
    time_limit: float | None = 2.0,
    accept: float = ACCEPTED,
    audit_rate: float | None = None,
    sort: Order = "epsilon",
) -> Plan:
    """Compares the placements that fit K workers, exactly or nearly.

    Args:
        workers: K >= 1.
        byzantine: q, 0 <= q < K.
        cluster: what to predict costs for; by default a ResNet-18 behind a link of 10 Gbit/s.
        most_copies: the largest replication to consider; every copy is computed anew.
        slack: by how many workers a placement may differ from K, 0 to K; None for a tenth of K, at least 1.
        time_limit: seconds of search for each placement; a row that needs more has a proved bound instead of the exact value.
        accept: the share of wrong files up to which the faster option is the better one, 0 to 1/2.
        audit_rate: also considers what needs a server that computes gradients itself: two copies, where it settles what
            disagrees, and one copy, of which it computes this share again; None leaves these out.
        sort: the order of the options: "epsilon" (of the worst case), "cost" (the time of a step) or "memory" (of the server).

    Raises:
        ParameterError: K, q, the slack, the share, the rate, the order or a number of the cluster is out of range.
    """
    spare = max(1, workers // 10) if slack is None else slack
    _check(workers, byzantine, cluster, most_copies, spare)
    _check_choice(accept, audit_rate, sort)
    options: list[Option] = []
    left_out: list[Assignment] = []
    for assignment, audit in _candidates(workers, most_copies, spare, audited=audit_rate is not None):
        if byzantine > assignment.num_workers:
            continue
        try:
            worst = worst_case(assignment, num_byzantine=byzantine, time_limit=time_limit)
        except PlacementError:
            left_out.append(assignment)
            continue
        rate = audit_rate or 0.0 if audit == "sample" else 0.0
        options.append(
            Option(
                assignment=assignment,
                worst=worst,
                cost=cost_of(assignment, cluster),
                audit=audit,
                audit_rate=rate,
                audit_seconds=rate * cluster.gradient_seconds,
            )
        )
    options.sort(key=lambda option: (option.rule is None, *KEYS[sort](option)))
    usable = [option for option in options if option.rule is not None and option.assignment.num_workers <= workers]
    recommended = choose(usable, accept)
    tolerated = None if recommended is None else _tolerated(recommended, time_limit)
    return Plan(
        num_workers=workers,
        num_byzantine=byzantine,
        cluster=cluster,
        accept=accept,
        options=tuple(options),
        left_out=tuple(left_out),
        recommended=recommended,
        tolerated=tolerated,
        reason=reasons.too_many(workers, byzantine, options)
        if recommended is None or tolerated is None
        else reasons.why(recommended, byzantine, accept, tolerated),
        remarks=tuple(_remarks(workers, usable, recommended, accept)),
    )


def choose(options: Iterable[Option], accept: float) -> Option | None:
    """The fastest whose worst case is within `accept`, or else the one with the smallest; ties go to who leaves fewer idle."""
    return min(
        options,
        key=lambda option: (
            max(accept, option.epsilon),
            option.seconds,
            -option.assignment.num_workers,
            option.epsilon,
        ),
        default=None,
    )


def _tolerated(option: Option, time_limit: float | None) -> int:
    """The largest q of which the rule is known to bear the worst case, from the q of the option on."""
    most = most_wrong(option.assignment.num_files, option.worst.upper_bound)
    deadline = inf if time_limit is None else time.monotonic() + time_limit
    tolerated = option.worst.num_byzantine
    while tolerated < option.assignment.num_workers and time.monotonic() < deadline:
        if worst_case(option.assignment, num_byzantine=tolerated + 1, time_limit=time_limit).upper_bound > most:
            break
        tolerated += 1
    return tolerated


def _candidates(workers: int, most_copies: int, slack: int, *, audited: bool) -> Iterator[tuple[Assignment, Audit]]:
    for assignment in fitting_placements(workers, most_copies=most_copies, slack=slack):
        yield assignment, "none"
    if audited:
        for assignment in fitting_placements(workers, most_copies=min(2, most_copies), slack=slack, even=True):
            yield assignment, "arbitrate" if assignment.replication > 1 else "sample"


def _remarks(workers: int, usable: Sequence[Option], recommended: Option | None, accept: float) -> Iterator[str]:
    if recommended is None:
        return
    faster = choose((option for option in usable if option.seconds < recommended.seconds), 0.0)
    safer = choose((option for option in usable if 2 * option.epsilon <= recommended.epsilon > 0), 1.0)
    if faster is not None:
        yield reasons.alternative("Faster", faster)
    if safer is not None:
        yield reasons.alternative("Safer", safer)
    if recommended.assignment.num_workers < workers:
        full = choose((option for option in usable if option.assignment.num_workers == workers), accept)
        yield reasons.idle(recommended, full, workers, accept)


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


def _check_choice(accept: float, audit_rate: float | None, sort: str) -> None:
    if not 0 <= accept <= 0.5:
        raise ParameterError(f"the share of wrong files to accept must be between 0 and 0.5; got {accept}")
    if audit_rate is not None and not 0 < audit_rate <= 1:
        raise ParameterError(f"the share of files to audit must be more than 0 and at most 1; got {audit_rate}")
    if not isinstance(sort, str) or sort not in ORDERS:
        raise ParameterError(f"a plan is sorted by {', '.join(ORDERS)}; got {sort!r}")
