"""How a run stands: what the lines of its metrics.jsonl come to so far."""

import statistics
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from byzshield.causes import Verdict, verdicts
from byzshield.runtime.wording import evaluations

__all__ = ["Standing"]

RECENT: Final = 20  # steps whose median is the time of a step


class Standing:
    """Takes in one line after the other.

    Attributes:
        step: the newest step.
        steps: of the whole run.
        line: the newest line; empty before the first.
        loss: the newest training loss; None if there is none, or none that is finite.
        evaluated: what the newest evaluation found, by name; empty before the first.

    Args:
        at: the step that the run goes on from.
        steps: of the whole run.
        lines: those of the steps before.
    """

    def __init__(self, *, at: int, steps: int, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        self.step = at
        self.steps = steps
        self.line: Mapping[str, Any] = {}
        self.loss: float | None = None
        self.evaluated: dict[str, float | None] = {}
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._blamed: dict[str, Counter[str]] = {}
        for line in lines:
            self.add(line)

    def add(self, line: Mapping[str, Any]) -> None:
        """Takes in the line of the next step."""
        self.step, self.line = line["step"], line
        self.loss = line.get("loss", self.loss)
        self.evaluated = evaluations(line) or self.evaluated
        if "seconds" in line:
            self._seconds.append(line["seconds"])
        for worker, counts in line.get("blamed", {}).items():
            self._blamed.setdefault(worker, Counter()).update(counts)

    @property
    def step_seconds(self) -> float | None:
        """The median over the newest steps, evaluations apart; None before the first."""
        return statistics.median(self._seconds) if self._seconds else None

    @property
    def seconds_left(self) -> float | None:
        """To the end at this pace, evaluations apart; None before the first step."""
        return None if self.step_seconds is None else self.step_seconds * max(0, self.steps - self.step)

    @property
    def blamed(self) -> Mapping[str, Mapping[str, int]]:
        """Counts by worker, its number as text, and cause."""
        return self._blamed

    def verdicts(self) -> list[Verdict]:
        """What is held against whom, the proven first."""
        return verdicts({"blamed": self._blamed})

    def accused(self) -> tuple[list[int], list[int]]:
        """The workers that are proven Byzantine, and those that are only suspected; each ascending."""
        found = self.verdicts()
        proven = sorted(each.worker for each in found if each.proven)
        return proven, sorted(each.worker for each in found if not each.proven)
