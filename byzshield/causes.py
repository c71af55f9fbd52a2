"""What workers are blamed for: which causes prove a fault, which only point to one, and of what each is a share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["CAUSES", "REQUESTS", "SUSPECTED", "Cause", "Verdict", "verdicts"]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One kind of fault.

    Args:
        words: what the worker did, of which the log makes a sentence.
        proof: whether no honest worker ever does it.
        asked: of which requests it is a share, of those in REQUESTS; none for what happens once.
    """

    words: str
    proof: bool = False
    asked: tuple[str, ...] = ()


REQUESTS: Final = ("steps", "votes", "payloads")  # whose votes are asked for, each vote by itself, and payloads after the vote
CAUSES: Final[Mapping[str, Cause]] = {
    "minority": Cause(words="voted against a file's winner", asked=("votes",)),
    "payload_mismatch": Cause(words="sent a payload other than it had voted for", proof=True, asked=("payloads",)),
    "audit": Cause(words="voted with another gradient than the server computes", proof=True, asked=("votes",)),
    "malformed": Cause(words="sent a message that is damaged or out of place", proof=True, asked=("votes", "payloads")),
    "slow": Cause(words="answered far later than the others", asked=("steps", "payloads")),
    "timeout": Cause(words="was silent past a deadline while it was waited for", asked=("steps", "payloads")),
    "lost": Cause(words="died"),
    "non_finite": Cause(words="supported a winner with a NaN or an infinity", asked=("votes",)),
}

SUSPECTED: Final = "A suspect may be honest: those whom colluders outvote, or whose link is slow, are among the suspected."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is held against one worker.

    Args:
        worker: its number.
        proven: whether at least one of its faults is a proof.
        faults: for each cause how often, and of how many requests; proofs first.
    """

    worker: int
    proven: bool
    faults: tuple[str, ...]

    @property
    def name(self) -> str:
        """`proven` or `suspected`."""
        return "proven" if self.proven else "suspected"


def verdicts(summary: Mapping[str, Any]) -> list[Verdict]:
    """What summary.json holds against whom: the proven first, then by the largest share.

    Args:
        summary: its "blamed", counts by worker and cause, and its "asked", requests by worker; the latter may be missing.
    """
    asked = summary.get("asked", {})
    ranked = []
    for worker, counts in summary.get("blamed", {}).items():
        found = sorted((cause for cause in CAUSES if counts.get(cause)), key=lambda cause: not CAUSES[cause].proof)
        shares = [(counts[cause], _requests(cause, asked.get(worker, {}))) for cause in found]
        verdict = Verdict(
            worker=int(worker),
            proven=any(CAUSES[cause].proof for cause in found),
            faults=tuple(_fault(cause, *share) for cause, share in zip(found, shares, strict=True)),
        )
        most = max((count / requests for count, requests in shares if requests), default=0.0)
        ranked.append((not verdict.proven, -most, verdict.worker, verdict))
    return [verdict for *_, verdict in sorted(ranked, key=lambda entry: entry[:3])]


def _requests(cause: str, asked: Mapping[str, int]) -> int:
    return sum(asked.get(kind, 0) for kind in CAUSES[cause].asked)


def _fault(cause: str, count: int, requests: int) -> str:
    """For example "minority 4 of 20 votes (20%)"."""
    if not requests:
        return f"{cause} {count}"
    return f"{cause} {count} of {requests} {' and '.join(CAUSES[cause].asked)} ({count / requests:.0%})"
