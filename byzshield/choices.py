"""Words that a run file chooses among and that the parts which they set must know, too."""

from typing import Any, Literal, get_args

from byzshield.errors import ParameterError

__all__ = [
    "AuditBy",
    "Compression",
    "Evidence",
    "Exchange",
    "Expel",
    "ForgedFiles",
    "Knowledge",
    "MomentumForm",
    "Precision",
    "SelectionRule",
    "Split",
    "VoteRule",
    "require_choice",
]

AuditBy = Literal["server", "workers"]
"""Who computes a file again that is audited."""
Evidence = Literal["audit", "arbitration", "payload", "replay"]
"""What convicted a worker: a drawn file, copies that disagreed, a payload that it had not voted for, or what it did before."""
Expel = Literal["proof", "never"]
"""Whether the votes of a convicted worker no longer count."""
Exchange = Literal["digest", "full", "coded"]
"""Whether workers vote with digests and the server fetches each winner once, or send all copies, or one combination each."""
Compression = Literal["auto", "on", "off"]
"""Whether chunks are compressed where it makes a step faster, wherever it makes them shorter, or never."""
ForgedFiles = Literal["all", "majority", "disagreement"]
"""Which of their files accomplices forge: all, those of which they hold a majority, or those on which only few can contradict."""
Knowledge = Literal["own", "omniscient"]
"""Whether accomplices know the gradients that they were given, or those of all files."""
MomentumForm = Literal["ema", "sum"]
"""Whether a momentum m becomes beta m + (1 - beta) g, an exponential moving average, or beta m + g."""
Precision = Literal["float32", "bfloat16"]
"""Whether the forward pass computes in float32, or in bfloat16 where torch.autocast finds it good enough; all else is float32."""
SelectionRule = Literal["worst", "random", "first", "fixed", "detox_worst", "detox_benign", "detox_whole_group"]
"""How the Byzantine workers are chosen."""
Split = Literal["none", "iid", "label_sorted", "gamma", "dirichlet"]
"""How the training samples become shards that files are bound to; "none" cuts a random batch into files at each step."""

VoteRule = Literal["exact", "aspis"]
"""Whether a majority of equal copies decides each file, or of those copies whose workers are not proven Byzantine."""


def require_choice(name: str, value: Any, choices: Any) -> None:
    """Refuses a value that is not one of the words of a Literal.

    Raises:
        ParameterError: it is another one.
    """
    if not isinstance(value, str) or value not in get_args(choices):
        raise ParameterError(f"{name} must be one of {', '.join(get_args(choices))}; got {value!r}")
