"""Numbers and workers in words, as progress and the log show them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["duration", "evaluations", "in_words", "number", "workers"]

EVALUATION: Final = "test_"  # how the names of what an evaluation finds begin, in a line of metrics.jsonl
MOST_NAMED: Final = 12  # workers; the others are in summary.json


def number(value: float | None) -> str:
    """A measure in three digits or so; None is what no JSON can hold.

    >>> number(2.30258509), number(0.0123456), number(51234.5), number(None)
    ('2.303', '0.0123', '5.12e+04', 'not finite')
    """
    if value is None:
        return "not finite"
    return f"{value:.3f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """How long something takes.

    >>> duration(0.20612), duration(42), duration(600), duration(9000)
    ('0.21 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def workers(numbers: Sequence[int]) -> str:
    """Workers by number.

    >>> workers([3]), workers([0, 7, 14])
    ('worker 3', 'workers 0, 7, 14')
    """
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return f"worker{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers[:MOST_NAMED]))}{more}"


def evaluations(line: Mapping[str, Any]) -> dict[str, float | None]:
    """What an evaluation has found, by its name; empty for a step without one.

    >>> evaluations({"step": 1, "test_accuracy": 0.9, "test_mean_squared_error": 0.1})
    {'accuracy': 0.9, 'mean squared error': 0.1}
    """
    return {key.removeprefix(EVALUATION).replace("_", " "): value for key, value in line.items() if key.startswith(EVALUATION)}


def in_words(line: Mapping[str, Any]) -> str:
    """A line of metrics.jsonl.

    >>> in_words({"step": 5, "epoch": 1, "loss": 0.41234, "seconds": 0.2061, "corrupted_files": 3, "undecided_files": 0})
    'loss 0.412, epoch 1, 0.21 s a step, 3 files corrupted, 0 undecided'
    """
    parts = [f"loss {number(line['loss'])}"] if "loss" in line else []
    parts += [f"epoch {line['epoch']}"] if "epoch" in line else []
    parts += [f"{duration(line['seconds'])} a step"] if "seconds" in line else []
    parts += [f"{line['corrupted_files']} files corrupted"] if "corrupted_files" in line else []
    parts += [f"{line['undecided_files']} undecided"] if "undecided_files" in line else []
    parts += [f"{line['non_finite_files']} not finite"] if line.get("non_finite_files") else []
    parts += [f"test {name} {number(value)}" for name, value in evaluations(line).items()]
    parts += [] if line.get("applied", True) else [f"skipped: {line.get('reason', 'no reason is given')}"]
    return ", ".join(parts)
