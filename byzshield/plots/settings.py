"""How runs were configured, on what they ran, and the commands that repeat them."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from byzshield.plots.document import NONE, Code, Folded, Part, Row, Table
from byzshield.plots.groups import FREE
from byzshield.plots.records import read_jobs
from byzshield.plots.runs import Run

__all__ = ["command_of", "configuration", "environment"]

SHOWN: Final = ("host", "commit", "byzshield", "python", "torch", "numpy", "blosc", "mpi4py", "openmpi", "processor", "cores")
APART: Final = FREE - {"run.seed"}
MOST_COLUMNS: Final = 12


def configuration(runs: Sequence[Run]) -> list[Part]:
    """What all runs share, and a table of what they differ in."""
    known = [run for run in runs if run.config]
    if not known:
        return []
    keys = [key for key in dict.fromkeys(key for run in known for key in run.config) if key not in APART]
    shared = [key for key in keys if len({_text(run.config.get(key)) for run in known}) == 1]
    apart = [key for key in keys if key not in shared]
    parts: list[Part] = []
    if apart:
        shown = apart[:MOST_COLUMNS]
        rows: list[Row] = [("run", *shown)]
        rows += [(run.name, *(_text(run.config[key]) if key in run.config else NONE for key in shown)) for run in known]
        parts.append(Table(name="settings in which runs differ", rows=rows))
        if len(apart) > MOST_COLUMNS:
            parts.append(f"They also differ in {', '.join(apart[MOST_COLUMNS:])}.")
    words = "settings that all runs share" if len(known) > 1 else "settings"
    parts.append(Folded(title=words, parts=[Code(name=words, text=_toml(known[0].config, shared))]))
    return parts


def environment(runs: Sequence[Run]) -> list[Part]:
    """Hosts, versions and commits, and how each run is repeated; of runs that have recorded them."""
    jobs = [(run, job) for run in runs for job in read_jobs(run)]
    parts: list[Part] = []
    if jobs:
        keys = [key for key in SHOWN if any(job.get(key) is not None for _, job in jobs)]
        alike: dict[Row, list[str]] = {}
        for run, job in jobs:
            alike.setdefault(tuple(str(job.get(key) or NONE) for key in keys), []).append(run.name)
        if len(alike) == 1:
            (values,) = alike
            rows: list[Row] = [("what", "value"), *zip(keys, values, strict=True)]
        else:
            rows = [("runs", *keys), *((_names(names), *values) for values, names in alike.items())]
        parts.append(Table(name="hosts and versions", rows=rows))
    commands = [command for run in runs if (command := command_of(run))]
    if commands:
        parts.append(Code(name="the same again" if len(commands) == 1 else "each run again", text="\n".join(commands)))
    began = [
        f"# {run.name}, {job.get('began')}, step {job.get('step')}\n{job['command']}" for run, job in jobs if job.get("command")
    ]
    if began:
        parts.append(Folded(title="as they were started", parts=[Code(name="commands", text="\n".join(began))]))
    return parts


def command_of(run: Run) -> str:
    """What repeats a run; nothing of one that no run file describes wholly."""
    if run.path is None or not run.config:
        return ""
    path = shlex.quote(str(run.path / "config.toml"))
    job = (read_jobs(run) or [{}])[-1]
    command = str(job.get("command") or "byzshield simulate")
    if not command.startswith("byzshield "):
        return command  # a Python program, which has given objects
    if command.startswith("byzshield train"):
        return f"mpirun -n {job.get('ranks')} python -m mpi4py -m byzshield train {path}"
    return f"byzshield simulate {path}"


def _toml(config: Mapping[str, Any], keys: Sequence[str]) -> str:
    sections: dict[str, list[str]] = {}
    for key in keys:
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {_text(config[key])}")
    return "\n\n".join(f"[{section}]\n" + "\n".join(lines) for section, lines in sections.items())


def _text(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _names(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:4]) + (f" and {len(unique) - 4} more" if len(unique) > 4 else "")
