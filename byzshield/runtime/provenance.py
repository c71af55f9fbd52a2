"""What a run was: who computed which file, who lied, who agreed with whom, and by what command, code and machine it was made."""

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import byzshield
from byzshield.runtime.builder import Builder
from byzshield.runtime.machine import software_facts
from byzshield.runtime.run_directory import RunDirectory
from byzshield.storage import read_json_lines, write_text
from byzshield.strict_json import dumps

__all__ = ["record_agreement", "record_start"]

GIT_SECONDS: Final = 5.0


def record_start(directory: RunDirectory, builder: Builder, *, step: int) -> None:
    """Writes placement.json, and a line to jobs.jsonl: one for each job that has worked on the run.

    Args:
        directory: of the run.
        builder: of the run.
        step: the step that the job goes on from, whose later ones are done again.

    Raises:
        StorageError: they cannot be written.
    """
    assignment, selection = builder.assignment.at(1), builder.selection
    placement = {
        **assignment.as_json(),
        "permuted": builder.config.placement.permute,
        "byzantine": list(selection.byzantine_at(1)),
        "corrupted_files": selection.corrupted_at(1),
    }
    write_text(directory.placement, dumps(placement) + "\n")
    job = {
        "step": step,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": _command(),
        "ranks": builder.num_ranks,
        "commit": _commit(),
        **software_facts(),
    }
    jobs = [*read_json_lines(directory.jobs), job] if step else [job]
    write_text(directory.jobs, "".join(dumps(job) + "\n" for job in jobs))


def record_agreement(directory: RunDirectory, state: dict[str, Any]) -> None:
    """Writes agreement.json, if there are votes to compare.

    Args:
        directory: of the run.
        state: `ParameterServer.state_dict()`.

    Raises:
        StorageError: it cannot be written.
    """
    if pairs := state["blame"]["agreement"]:
        write_text(directory.agreement, dumps({"step": state["step"], "pairs": pairs}) + "\n")


def _command() -> str:
    """What has started this process, as one types it."""
    program, *words = sys.argv
    own = Path(program).parent == Path(byzshield.__file__).parent or Path(program).name == "byzshield"
    return shlex.join(["byzshield", *words] if own else ["python", program, *words])


def _commit() -> str | None:
    """The commit of byzshield's own code, if this is a checkout of it; with "-dirty" if files differ from it."""
    folder = Path(byzshield.__file__).parent.parent
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or a folder that it does not trust
    return done.stdout.strip() or None
