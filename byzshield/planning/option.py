"""One row of a plan: a placement, what q Byzantine workers do to it, the rule that bears it, and what it costs."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from byzshield.distortion.result import WorstCase
from byzshield.placement import Assignment
from byzshield.planning.cost import Cost
from byzshield.planning.rules import Chain, chain_for

__all__ = ["Audit", "Option"]

Audit = Literal["none", "arbitrate", "sample"]
PLACES: Final = 4  # of decimals in JSON


@dataclass(frozen=True, kw_only=True)
class Option:
    """One placement of a plan.

    Args:
        assignment: the placement.
        worst: what q Byzantine workers do to it at worst; of "sample", until they are convicted.
        cost: what a step costs without audits.
        audit: what the server computes: "none"; "arbitrate", a file whose copies disagree, so that only files of which all
            copies are in Byzantine hands can be wrong; or "sample", some files again.
        audit_rate: of "sample", the share of files.
        audit_seconds: what that takes in a step.
    """

    assignment: Assignment
    worst: WorstCase
    cost: Cost
    audit: Audit = "none"
    audit_rate: float = 0.0
    audit_seconds: float = 0.0

    @property
    def epsilon(self) -> float:
        """The proved upper bound on the fraction of corrupted files; the fraction itself where the search is exact."""
        return self.worst.upper_bound / self.assignment.num_files

    @property
    def honest_majority(self) -> bool:
        """Whether fewer than half of the files can be corrupted; no rule that treats files alike tolerates more."""
        return 2 * self.worst.upper_bound < self.assignment.num_files

    @property
    def rule(self) -> Chain | None:
        """The rule to take, which bears the worst case; None where none does."""
        return chain_for(self.assignment.num_files, self.worst.upper_bound)

    @property
    def seconds(self) -> float:
        """Predicted time of a step in digest mode, audits included."""
        return self.cost.step_seconds_digest + self.audit_seconds

    @property
    def server_memory_bytes(self) -> int:
        """What the server holds in a step."""
        return self.cost.server_memory_bytes

    def as_json(self) -> dict[str, Any]:
        """The row of `plan --json`."""
        assignment, worst = self.assignment, self.worst
        row = {
            "scheme": assignment.scheme,
            "num_workers": assignment.num_workers,
            "num_files": assignment.num_files,
            "load": assignment.load,
            "replication": assignment.replication,
            "audit": self.audit,
            "audit_rate": self.audit_rate,
            "c_max": worst.c_max,
            "epsilon": round(worst.epsilon, PLACES),
            "exact": worst.exact,
            "honest_majority": self.honest_majority,
            "rule": None if self.rule is None else self.rule.rule,
            "pre": [] if self.rule is None else list(self.rule.pre),
            **asdict(self.cost),
        }
        row["compute"] += self.audit_rate
        row["step_seconds_digest"] = round(self.seconds, PLACES)
        row["step_seconds_full"] = round(self.cost.step_seconds_full + self.audit_seconds, PLACES)
        if not worst.exact:
            row["upper_bound"] = worst.upper_bound
        return row
