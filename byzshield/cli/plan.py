"""`byzshield plan`: which placement and rule to take for K workers of which q may be Byzantine, and what they cost."""

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from byzshield.errors import ParameterError, StorageError
from byzshield.limits import available_memory, lacking_open_files
from byzshield.storage import named_errors, write_text
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.planning import Option, Plan

__all__ = ["add_parser"]

RESNET18_PARAMETERS: Final = 11_173_962
GIGABIT: Final = 1e9
WIDTH: Final = 80
ORDERS: Final = ("epsilon", "cost", "memory")

DESCRIPTION = """\
Compares every placement that fits K workers, exactly or nearly, against q
Byzantine ones: how many files they corrupt at worst (computed exactly where
--time-limit allows, else a proved bound), a rule that bears it, what the
parameter server (PS) receives and holds in a step, and how long a step takes.

The principle: a rule can bear nearly half of the files wrong, but training
suffers long before. So what is recommended is the fastest placement of at most
K workers in which at most a share --accept of the files can be wrong; if there
is none, the one with the smallest worst case. What would be faster or safer,
and why workers are left idle, is said below the table."""

EPILOG = """\
examples:
  byzshield plan --workers 15 --byzantine 3 --write plan.toml
  byzshield simulate plan.toml --set run.steps=3
  byzshield plan --workers 25 --byzantine 5 --bandwidth 1 --gradient-time 30
  byzshield plan --workers 16 --byzantine 4 --audit --sort cost

columns: K workers, r workers a file, f files; "wrong" is c_max, the most files
that q workers corrupt, epsilon is c_max / f; "rule" is what to begin with, "-"
where none bears it; "in" is what the PS receives in a step, "holds" its memory.

Workers send a digest of each gradient and the PS fetches one copy of each file
(cluster.exchange = "digest"). The prediction adds up three phases (parameters
out, gradients, gradients in) and lets nothing overlap; it is meant for
comparing placements, and a real step takes another time. docs/planning.md says
more, docs/performance.md has it beside measurements."""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "plan",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, required=True, metavar="K", help="number of workers")
    parser.add_argument("--byzantine", type=int, required=True, metavar="Q", help="how many of them may be Byzantine")
    parser.add_argument(
        "--accept",
        type=float,
        default=0.15,
        metavar="SHARE",
        help="of the files that may be wrong: within it, the faster placement is the better one (default: 0.15)",
    )
    parser.add_argument(
        "--audit",
        type=float,
        nargs="?",
        const=0.05,
        metavar="RATE",
        help="consider a PS that computes gradients, too: of 2 copies, it settles what disagrees; of 1 copy, it computes this "
        "share of the files again (default: 0.05)",
    )
    parser.add_argument(
        "--sort", choices=ORDERS, default="epsilon", help="of the rows, which does not change what is recommended"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write a run file for what is recommended")
    parser.add_argument(
        "--parameters", type=int, default=RESNET18_PARAMETERS, metavar="D", help="model size, float32 (default: ResNet-18)"
    )
    parser.add_argument(
        "--bandwidth", type=float, default=10.0, metavar="GBIT", help="the PS's link, each way, in Gbit/s (default: 10)"
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="MS", help="a round trip between the PS and a worker, in ms (default: 0)"
    )
    parser.add_argument(
        "--gradient-time",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="what one worker alone would need for the gradient of a whole batch (default: 10)",
    )
    parser.add_argument(
        "--max-replication", type=int, default=7, metavar="R", help="largest replication to consider (default: 7)"
    )
    parser.add_argument(
        "--slack",
        type=int,
        metavar="N",
        help="by how many workers a placement may differ (default: a tenth of K, at least 1)",
    )
    parser.add_argument(
        "--time-limit", type=float, default=2.0, metavar="SECONDS", help="search time for each placement (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 also when no placement tolerates q, which is an answer, unless it was to be written."""
    from byzshield.planning import Cluster, plan  # it imports blosc, by way of byzshield.wire

    result = plan(
        arguments.workers,
        arguments.byzantine,
        Cluster(
            num_parameters=arguments.parameters,
            bandwidth=arguments.bandwidth * GIGABIT,
            gradient_seconds=arguments.gradient_time,
            latency=arguments.latency / 1000,
        ),
        most_copies=arguments.max_replication,
        slack=arguments.slack,
        time_limit=arguments.time_limit,
        accept=arguments.accept,
        audit_rate=arguments.audit,
        sort=arguments.sort,
    )
    if arguments.json:
        print(dumps(result.as_json()))
    else:
        _print(result)
    if arguments.write is not None:
        _write(result, arguments.write)
        if not arguments.json:
            print(f"\nwritten: {arguments.write}; try it: byzshield simulate {arguments.write}")
    return 0


def _write(result: "Plan", path: Path) -> None:
    from byzshield.planning import run_file

    if result.recommended is None:
        raise ParameterError(f"no run file is written to {path}, since no placement is recommended: {result.reason}")
    try:
        with named_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, run_file(result.recommended, num_workers=result.num_workers, path=str(path)))
    except StorageError as error:
        raise ParameterError(f"the run file {error}") from error


def _print(result: "Plan") -> None:
    print(
        f"  {'scheme':10} {'K':>4} {'r':>2} {'f':>5} {'wrong':>6} {'epsilon':>7} {'rule':10} {'in':>7} {'holds':>7} {'step':>8}"
    )
    for option in result.options:
        if option.audit == "none":
            print(_line(option, recommended=option is result.recommended))
    audited = [option for option in result.options if option.audit != "none"]
    if audited:
        print("with audits (of 1 copy: until who lies is convicted)")
        for option in audited:
            print(_line(option, recommended=option is result.recommended))
    if result.left_out:
        least = min(assignment.num_files for assignment in result.left_out)
        print(f"left out, too large to be analyzed: {len(result.left_out)} placements of {least:,} files or more")
    _paragraph(result.reason)
    for remark in result.remarks:
        _paragraph(remark)
    free = available_memory()
    if result.recommended is not None and free is not None and result.recommended.server_memory_bytes > free:
        needed = _size(result.recommended.server_memory_bytes)
        _paragraph(
            f"Its parameter server holds {needed} in a step, and this machine has {_size(free)} free: run it on a larger one."
        )
    if result.recommended is not None and (lacking := lacking_open_files(result.recommended.assignment.num_workers + 1)):
        _paragraph(f"With a rank for each worker, {lacking}.")


def _line(option: "Option", *, recommended: bool) -> str:
    assignment, worst = option.assignment, option.worst
    count = str(worst.c_max) if worst.exact else f"<={worst.upper_bound}"
    received, held = _size(option.cost.server_bytes_received_digest), _size(option.server_memory_bytes)
    return (
        f"{'*' if recommended else ' '} {assignment.scheme:10} {assignment.num_workers:4d} {assignment.replication:2d} "
        f"{assignment.num_files:5d} {count:>6} {option.epsilon:7.4f} {option.rule or '-'!s:10} "
        f"{received:>7} {held:>7} {_seconds(option.seconds):>8}"
    )


def _paragraph(text: str) -> None:
    print()
    print(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def _size(number: float) -> str:
    """Bytes for people, at most seven characters.

    >>> _size(1234567), _size(999_600_000), _size(512)
    ('1.23 MB', '1.00 GB', '512 B')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5 or unit == "TB":
            break
        number /= 1000
    digits = 0 if unit == "B" or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f} {unit}"


def _seconds(number: float) -> str:
    """Seconds for people.

    >>> _seconds(2.764), _seconds(1234.5)
    ('2.76 s', '1234 s')
    """
    return f"{number:.2f} s" if number < 1000 else f"{number:.0f} s"
