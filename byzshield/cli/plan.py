"""`byzshield plan`: which placement to take for K workers of which q may be Byzantine, and what it costs."""

import argparse
from typing import TYPE_CHECKING, Any

from byzshield.limits import available_memory
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.planning import Option, Plan

__all__ = ["add_parser"]

RESNET18_PARAMETERS = 11_173_962
GIGABIT = 1e9

DESCRIPTION = """\
Compares every placement that fits K workers, exactly or nearly, against q Byzantine ones: how many files they corrupt at worst
(computed exactly where --time-limit allows, else a proved bound), what the redundancy costs in computation, what the parameter
server (PS) sends and receives in a step, and how long a step should take. In digest mode workers send a digest of each gradient
and the PS fetches one copy of each file; in full mode they send every copy.

The recommended placement is the one with the smallest worst case that needs at most K workers; ties go to the faster step."""

EPILOG = """\
example:
  byzshield plan --workers 25 --byzantine 5 --bandwidth 1 --gradient-time 30 --parameters 11173962

The prediction adds up three phases (parameters out, gradients, gradients in) and lets nothing overlap; it is meant for
comparing placements, and a real step takes another time."""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "plan",
        help="compare every placement that fits K workers, and recommend one",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, required=True, metavar="K", help="number of workers")
    parser.add_argument("--byzantine", type=int, required=True, metavar="Q", help="how many of them may be Byzantine")
    parser.add_argument(
        "--parameters", type=int, default=RESNET18_PARAMETERS, metavar="D", help="model size, float32 (default: ResNet-18)"
    )
    parser.add_argument(
        "--bandwidth", type=float, default=10.0, metavar="GBIT", help="the PS's link, each way, in Gbit/s (default: 10)"
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
    """Runs the command; 0 also when no placement tolerates q, which is an answer."""
    from byzshield.planning import Cluster, plan  # it imports blosc, by way of byzshield.wire

    result = plan(
        arguments.workers,
        arguments.byzantine,
        Cluster(
            num_parameters=arguments.parameters,
            bandwidth=arguments.bandwidth * GIGABIT,
            gradient_seconds=arguments.gradient_time,
        ),
        most_copies=arguments.max_replication,
        slack=arguments.slack,
        time_limit=arguments.time_limit,
    )
    if arguments.json:
        print(dumps(result.as_json()))
    else:
        _print(result)
    return 0


def _print(result: "Plan") -> None:
    print(
        f"{'':1} {'scheme':10} {'K':>4} {'r':>3} {'l':>3} {'f':>4} {'c_max':>6} {'epsilon':>8} {'compute':>8} "
        f"{'PS sends':>9} {'receives: digest':>17} {'full':>9} {'step: digest':>13} {'full':>8} {'PS memory':>10}"
    )
    for option in result.options:
        print(_line(option, recommended=option is result.recommended))
    print()
    print(result.reason)
    free = available_memory()
    if result.recommended is not None and free is not None and result.recommended.cost.server_memory_bytes > free:
        needed = _size(result.recommended.cost.server_memory_bytes)
        print(f"its parameter server holds {needed} in a step, and this machine has {_size(free)} free: run it on a larger one")


def _line(option: "Option", *, recommended: bool) -> str:
    assignment, cost, worst = option.assignment, option.cost, option.worst
    count = str(worst.c_max) if worst.exact else f"<={worst.upper_bound}"
    return (
        f"{'*' if recommended else '':1} {assignment.scheme:10} {assignment.num_workers:4d} {assignment.replication:3d} "
        f"{assignment.load:3d} {assignment.num_files:4d} {count:>6} {option.epsilon:8.4f} {cost.compute:7d}x "
        f"{_size(cost.server_bytes_sent):>9} {_size(cost.server_bytes_received_digest):>17} "
        f"{_size(cost.server_bytes_received_full):>9} {cost.step_seconds_digest:11.2f} s {cost.step_seconds_full:6.2f} s "
        f"{_size(cost.server_memory_bytes):>10}"
    )


def _size(number: float) -> str:
    """Bytes for people: 1234567 -> 1.2 MB.

    >>> _size(1234567)
    '1.2 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
