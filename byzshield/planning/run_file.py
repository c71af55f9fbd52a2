"""The run file of an option of a plan: it runs as it is, and says what to put in place of what it begins with."""

import re
from typing import Any, Final

import tomli_w

from byzshield.planning.option import Audit, Option
from byzshield.planning.reasons import named

__all__ = ["run_file"]

SAMPLES_A_STEP: Final = 75
EMBEDDED: Final = 4_000  # training images of the embedded data set

HEAD: Final = """\
# What `byzshield plan` recommends for {workers} workers of which {byzantine} may be Byzantine: {name}.
# It runs as it is, on the embedded data set and with workers who lie, to see it bear them:
#   byzshield simulate {path}
# For your own job change [data], [model] and [optimizer], and leave out [attack]; docs/run_file.md has every key.
"""

NOTES: Final = {
    "cluster": "one process a worker or fewer, and one for the server: mpirun -n {ranks}",
    "data": "batch_size is a multiple of the {files} files",
    "placement": "who computes which file; byzshield placement shows it",
    "audit": "the server computes files itself; docs/audits.md says what that proves and costs",
    "aggregation": "num_corrupted is the worst case: what {byzantine} Byzantine workers can corrupt of {files} files",
    "attack": "a rehearsal: the workers who corrupt the most files together",
}


def run_file(option: Option, *, num_workers: int, path: str) -> str:
    """Returns the run file as TOML with comments.

    Args:
        option: what to run.
        num_workers: K that was asked for; the file has the option's own.
        path: where it will be, for the command in its first lines.
    """
    assignment, q = option.assignment, option.worst.num_byzantine
    known = {"workers": num_workers, "byzantine": q, "name": named(option), "files": assignment.num_files, "path": path}
    parts = [HEAD.format(**known)]
    for section, values in _sections(option).items():
        note = NOTES.get(section, "").format(**known, ranks=assignment.num_workers + 1)
        parts.append("".join((f"# {note}\n" if note else "", _dumped(section, values))))
    return "\n".join(parts)


def _sections(option: Option) -> dict[str, dict[str, Any]]:
    if option.rule is None:
        raise ValueError("a run file is for an option that a rule bears")
    assignment, files, q = option.assignment, option.assignment.num_files, option.worst.num_byzantine
    batch = max(1, round(SAMPLES_A_STEP / files)) * files
    audits: dict[Audit, dict[str, Any]] = {"none": {}, "arbitrate": {"arbitrate": True}, "sample": {"rate": option.audit_rate}}
    # Where lies are settled, those lies that nobody contradicts are the worst.
    quiet = {"files": "majority"} if option.audit == "arbitrate" else {}
    sections: dict[str, dict[str, Any]] = {
        "run": {"name": f"{assignment.scheme}-{assignment.num_workers}", "seed": 1, "steps": 300, "eval_every": 50},
        "cluster": {"num_workers": assignment.num_workers, "exchange": "digest"},
        "data": {"name": "mnist5k", "batch_size": batch}
        if batch <= EMBEDDED
        else {"name": "synthetic", "num_train": 2 * batch, "batch_size": batch},
        "model": {"name": "mlp"},
        "placement": _placement(option),
        "audit": audits[option.audit],
        "aggregation": {
            "rule": option.rule.rule,
            "pre": list(option.rule.pre),
            "num_corrupted": option.worst.upper_bound,
        },
        "attack": {"name": "alie", "z": 3.0, "num_byzantine": q, "selection": "worst", **quiet} if q else {},
        "optimizer": {"name": "Adam", "lr": 0.001},
    }
    return {name: values for name, values in sections.items() if values}


def _dumped(section: str, values: dict[str, Any]) -> str:
    """As TOML, with lists on one line."""
    text = tomli_w.dumps({section: values})
    return re.sub(r"\[\n\s+([^\[\]]*?),\n\]", r"[\1]", text)


def _placement(option: Option) -> dict[str, Any]:
    assignment = option.assignment
    sizes = {} if assignment.scheme == "baseline" else {"load": assignment.load, "replication": assignment.replication}
    return {"scheme": assignment.scheme, **sizes, **({"m": assignment.load} if assignment.scheme == "ramanujan2" else {})}
