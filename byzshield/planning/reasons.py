"""What a plan says in words."""

from collections.abc import Sequence

from byzshield.distortion.bounds import epsilon_baseline, epsilon_frc
from byzshield.guarantee import wrong_files_expected
from byzshield.planning.option import Option
from byzshield.planning.rules import most_wrong

__all__ = ["alternative", "idle", "named", "too_many", "why"]


def why(option: Option, num_byzantine: int, accept: float, tolerated: int) -> str:
    """Why an option is recommended, and what it promises, also against as many workers as its rule is known to tolerate."""
    size, worst = option.assignment, option.worst
    others = [f"{epsilon_baseline(num_byzantine, size.num_workers):.3f} without redundancy"]
    in_groups = epsilon_frc(num_byzantine, size.num_workers, size.replication, size.threshold)
    if in_groups is not None and size.replication > 1 and size.scheme != "frc":
        others.append(f"{in_groups:.3f} in groups of {size.replication}")
    against = f", against {' and '.join(others)}" if size.replication > 1 else ""
    at_most = "" if worst.exact else "at most "
    choice = (
        f"It is the fastest whose worst case is at most {accept:g}: {option.seconds:.2f} s a step."
        if option.epsilon <= accept
        else f"None keeps to {accept:g}; this one has the smallest worst case: {option.seconds:.2f} s a step."
    )
    return (
        f"{named(option)} with the rule {option.rule}: {_counted(num_byzantine, 'Byzantine worker')} "
        f"{'corrupts' if num_byzantine == 1 else 'corrupt'} {at_most}{worst.upper_bound} of "
        f"{size.num_files} files (epsilon {option.epsilon:.3f}{against}). {choice} {_price(option)} {_bearing(option, tolerated)}"
    )


def named(option: Option) -> str:
    """What an option is, in a few words."""
    size = option.assignment
    how = {"none": "", "arbitrate": ", arbitrated", "sample": f", {100 * option.audit_rate:g} % audited"}[option.audit]
    workers, files = _counted(size.num_workers, "worker"), _counted(size.num_files, "file")
    return f"{size.scheme} ({workers}, {files}, replication {size.replication}{how})"


def alternative(kind: str, option: Option) -> str:
    """What another option would cost and promise."""
    return (
        f"{kind}: {named(option)}, {option.seconds:.2f} s a step, epsilon {option.epsilon:.3f} "
        f"({option.worst.upper_bound} of {option.assignment.num_files} files wrong), rule {option.rule}."
    )


def idle(option: Option, full: Option | None, num_workers: int, accept: float) -> str:
    """Why an option leaves workers idle, given the best one that does not."""
    number = num_workers - option.assignment.num_workers
    left = f"{number} of the {num_workers} workers {'stays' if number == 1 else 'stay'} idle"
    if full is None:
        return f"{left}: no rule bears the worst case of a placement of all {num_workers}."
    what = (
        f"has epsilon {full.epsilon:.3f}" if full.epsilon > max(accept, option.epsilon) else f"takes {full.seconds:.2f} s a step"
    )
    return f"{left}: the best placement of all {num_workers}, {named(full)}, {what}."


def too_many(num_workers: int, num_byzantine: int, options: Sequence[Option]) -> str:
    """Why nothing is recommended."""
    least = min((option.epsilon for option in options if option.assignment.num_workers <= num_workers), default=1.0)
    return (
        f"{num_byzantine} Byzantine of {_counted(num_workers, 'worker')} are more than any of these placements tolerates: they "
        f"may corrupt {least:.3f} of the files or more, and no rule tolerates half; use more workers or a larger replication."
    )


def _price(option: Option) -> str:
    size = option.assignment
    if option.audit == "sample":
        return (
            f"Each file is computed once, and {100 * option.audit_rate:g} % of them again by the server: a wrong file is found "
            f"before it counts with that probability, and who sent it is expelled, so that each of them gets "
            f"{wrong_files_expected(option.audit_rate):.0f} wrong files past it on average, in the whole run."
        )
    if option.audit == "arbitrate":
        return (
            f"Each file is computed by {size.replication} workers; the server computes one whose copies disagree, and expels who "
            "is proved wrong."
        )
    if size.replication == 1:
        return "Each file is computed once."
    fewer = f" ({size.majority} while nobody fails)" if size.load > 1 else ""
    return f"Each file is computed by {size.replication} workers{fewer}."


def _bearing(option: Option, tolerated: int) -> str:
    files, corrupted = option.assignment.num_files, option.worst.upper_bound
    most = most_wrong(files, corrupted)
    if not corrupted:
        return f"No file can be wrong, so the mean loses nothing; that holds up to {_counted(tolerated, 'Byzantine worker')}."
    return f"{option.rule} bears {most} wrong files, the worst case of up to {_counted(tolerated, 'Byzantine worker')}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
