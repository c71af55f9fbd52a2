"""`byzshield doctor`: is this machine, or this cluster, fit to train?"""

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzshield.cli.run_options import add_overrides
from byzshield.config import load
from byzshield.extras import require
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.runtime import Builder
    from byzshield.runtime.doctor import Finding

__all__ = ["add_parser"]

DESCRIPTION = """\
Looks at software, processor, GPUs and memory; with a run file also at the run: whether its placement, rule, data set and folder
are possible, how long a gradient takes, and what a step takes of the memory. Under mpirun every rank is asked, and the doctor
says which of them would lose every vote because its software or arithmetic differs, and how fast its link is.

Ends with "fit" and exit status 0, or with what to change and 1."""

EPILOG = """\
examples:
  byzshield doctor
  byzshield doctor configs/runs/quickstart.toml
  mpirun -n 16 python -m mpi4py -m byzshield doctor configs/runs/quickstart.toml"""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "doctor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_file", type=Path, nargs="?", metavar="RUN.toml", help="a run to be made")
    add_overrides(parser)
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="how long to wait for a rank (default: 60)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    config = None if arguments.run_file is None else load(arguments.run_file, arguments.overrides)
    from byzshield.runtime.builder import Builder
    from byzshield.runtime.doctor import examine, facts_of_rank

    if int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1")) == 1:
        builder = None if config is None else Builder(config)
        findings = list(examine({0: facts_of_rank(builder, range(2))}, builder))
        return _print(findings, as_json=arguments.json)
    require("mpi4py")
    from byzshield.transport import mpi

    builder = None if config is None else Builder(config, num_ranks=mpi.world_size(), local_rank=mpi.local_rank())
    return _run_rank(builder, timeout=arguments.timeout, as_json=arguments.json)


def _run_rank(builder: "Builder | None", *, timeout: float, as_json: bool) -> int:
    from byzshield.errors import ByzShieldError
    from byzshield.runtime.doctor import answer_examination, examine, examine_ranks, facts_of_rank
    from byzshield.runtime.machine import machine_facts
    from byzshield.transport import mpi
    from byzshield.wire import SERVER_RANK

    endpoint = mpi.MPIEndpoint()
    endpoint.hear([SERVER_RANK] if endpoint.rank else range(endpoint.size))
    if endpoint.rank:
        try:
            own = facts_of_rank(builder, [endpoint.rank])
        except ByzShieldError as error:
            own = {**machine_facts(), "error": str(error)}
        answer_examination(endpoint, own, timeout=2 * timeout)
        return 0
    told, findings = examine_ranks(endpoint, facts_of_rank(builder, [0]), timeout=timeout)
    status = _print([*examine(told, builder), *findings], as_json=as_json)
    if len(told) < endpoint.size:
        silent = [rank for rank in range(endpoint.size) if rank not in told]
        mpi.end(status=status, together=False, deadline=timeout, hanging=silent)
    return status


def _print(findings: "list[Finding]", *, as_json: bool) -> int:
    problems = [finding for finding in findings if finding.problem]
    if as_json:
        print(dumps({"fit": not problems, "findings": [asdict(finding) for finding in findings]}))
        return int(bool(problems))
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        print(f"{finding.topic:<{width}}  {finding.value}")
    print()
    for problem in problems:
        print(f"not fit: {problem.topic} ({problem.value}): {problem.problem}")
    if not problems:
        print("fit")
    return int(bool(problems))
