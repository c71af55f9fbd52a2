"""What a step came to."""

from dataclasses import dataclass

from byzshield.aggregation import Aggregate
from byzshield.training.round import Round
from byzshield.training.state import Change

__all__ = ["StepOutcome", "non_finite_files", "outcome_of", "rejected_workers"]


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What a closed round came to.

    Args:
        step: the training step, from 1.
        applied: whether the aggregate was applied; False if the step was skipped.
        updated: whether the parameters changed, which takes several applied steps if gradients are accumulated.
        gradient_norm: the length of the gradient that changed them, before it was clipped; None without clipping.
        undecided: files without a winner, ascending.
        non_finite: files dropped for a NaN or an infinity, ascending.
        discarded: workers whose votes were discarded, because they are proven Byzantine, ascending.
        loss: the training loss at the parameters before the step, a trimmed mean over the files' winners, so that as many
            corrupted files as the rule tolerates cannot move it out of the range of the others; None if the step was skipped.
        reason: why the step was skipped; empty if it was not.
        audited: files that were drawn and checked, ascending; where it is done while the server waits, those of the step before.
        arbitrated: files that the server computed since workers did not decide them, ascending.
        returned: workers that have served their probation and count again, ascending.
        blamed: what was counted since the step before, by worker and cause.
    """

    step: int
    applied: bool
    updated: bool
    gradient_norm: float | None
    undecided: tuple[int, ...]
    non_finite: tuple[int, ...]
    discarded: tuple[int, ...]
    loss: float | None
    reason: str
    audited: tuple[int, ...]
    arbitrated: tuple[int, ...]
    returned: tuple[int, ...]
    blamed: dict[str, dict[str, int]]


def non_finite_files(round_: Round, aggregate: Aggregate) -> tuple[int, ...]:
    """Which of the round's files were dropped for a NaN or an infinity, ascending."""
    files = sorted(round_.complete)
    return tuple(files[row] for row in aggregate.non_finite)


def rejected_workers(round_: Round, aggregate: Aggregate) -> tuple[int, ...]:
    """Whose combinations of files were found wrong, where each "file" is one worker's, ascending."""
    files = sorted(round_.complete)
    return tuple(files[row] for row in aggregate.rejected)


def outcome_of(
    round_: Round,
    aggregate: Aggregate,
    change: Change,
    *,
    audited: tuple[int, ...],
    returned: tuple[int, ...],
    blamed: dict[str, dict[str, int]],
) -> StepOutcome:
    """The outcome of a round whose aggregate was applied or skipped."""
    return StepOutcome(
        step=round_.step,
        applied=aggregate.vector is not None,
        updated=change.updated,
        gradient_norm=change.gradient_norm,
        undecided=tuple(sorted(round_.undecided)),
        non_finite=non_finite_files(round_, aggregate),
        discarded=tuple(sorted({*round_.discarded, *rejected_workers(round_, aggregate)})),
        loss=None if aggregate.statistics is None else float(aggregate.statistics[-1]),
        reason=aggregate.reason,
        audited=audited,
        arbitrated=tuple(sorted(round_.arbitrated)),
        returned=returned,
        blamed=blamed,
    )
