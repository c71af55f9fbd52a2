"""`byzshield distortion`: how many files q Byzantine workers can corrupt at worst, and which workers they would choose."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from byzshield.cli.placement_options import add_placement_options, assignment_from
from byzshield.distortion.table import Row, document, rows
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, fitting_placements, spectrum
from byzshield.plots.distortion import Curve, check_figure_path, draw_epsilon
from byzshield.strict_json import dumps

__all__ = ["add_parser", "parse_numbers"]

INTERRUPTED = 130

DESCRIPTION = """\
Computes c_max(q): the most files that any q of the K workers can corrupt, that is, of which they hold a majority of the
copies; with --unanimous, or an even replication, all of them, as where somebody settles each disagreement of copies.
epsilon is c_max / f, the fraction of the files that the aggregation rule then has to survive. The witness is a set of q
workers that does it, so that you can check the number and attack with it.

The answer is proved: the search covers every set of q workers, up to symmetries of the placement that it has verified. With
--time-limit, a row that is not finished shows the best attack found and a proved upper bound instead."""

EPILOG = """\
examples:
  byzshield distortion --scheme mols --load 5 --replication 3 --byzantine 2:7
  byzshield distortion --scheme ramanujan2 --m 5 --replication 5 --byzantine 5 --json
  byzshield distortion --scheme mols --load 5 --replication 2 --byzantine 2:9
  byzshield distortion --scheme mols --load 7 --replication 5 --byzantine 2:13 --plot epsilon.pdf
  byzshield distortion --scheme custom --assignment mine.json --byzantine 2,4

columns: baseline and frc are the epsilon of K single workers and of groups of r; bound is the bound on c_max from the
second eigenvalue of the placement. Ctrl-C ends a long search and prints what is known."""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "distortion",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_placement_options(parser)
    parser.add_argument(
        "--byzantine", required=True, metavar="Q", help="numbers of Byzantine workers: 5, a list 2,4 or an inclusive range 3:13"
    )
    parser.add_argument(
        "--unanimous", action="store_true", help="count the files of which all copies are in Byzantine hands, as with arbitration"
    )
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop each row's search after so long")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="draw epsilon against q with its spectral bound, and the other schemes with the same K and r (.png, .svg, .pdf)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 when every row is there, 130 when Ctrl-C cut the table short."""
    assignment = assignment_from(arguments)
    if arguments.unanimous:
        assignment = assignment.arbitrated()
    numbers = parse_numbers(arguments.byzantine)
    if numbers[-1] > assignment.num_workers:
        raise ParameterError(f"--byzantine must be at most the number of workers, {assignment.num_workers}; got {numbers[-1]}")
    if arguments.time_limit is not None and not arguments.time_limit > 0:
        raise ParameterError(f"--time-limit must be positive; got {arguments.time_limit} seconds")
    if arguments.plot is not None:
        check_figure_path(arguments.plot)
    table: list[Row] = []
    found = _collect(rows(assignment, numbers, time_limit=arguments.time_limit), table)
    if not arguments.json:
        _print_heading(assignment)
    for row in _announced(found, numbers):
        if not arguments.json:
            print(_line(row), flush=True)
    complete = len(table) == len(numbers) and not table[-1].interrupted
    if arguments.json:
        print(dumps(document(assignment, table)))
    elif not complete:
        print("interrupted: the rows above are what is known")
    if arguments.plot is not None and complete:
        draw_epsilon(_curves(assignment, table, arguments.time_limit), arguments.plot, title=_title(assignment))
    return 0 if complete else INTERRUPTED


def parse_numbers(text: str) -> list[int]:
    """Reads "5", "2,4", "3:13" (inclusive) or a mixture; ascending, each once.

    Raises:
        ParameterError: it is none of these.

    >>> parse_numbers("2,4:6")
    [2, 4, 5, 6]
    """
    numbers: set[int] = set()
    for part in text.split(","):
        ends = part.split(":")
        if len(ends) > 2 or not all(end.strip().isdecimal() for end in ends):
            raise ParameterError(f"--byzantine takes a number, a list 2,4 or an inclusive range 3:13; got {text!r}")
        if max(map(len, ends)) > 6:  # no placement of so many workers can be analyzed
            raise ParameterError(f"--byzantine must be at most the number of workers; got {part}")
        first, last = int(ends[0]), int(ends[-1])
        if last < first:
            raise ParameterError(f"--byzantine needs the smaller end of a range first; got {part!r}")
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def _collect(source: Iterator[Row], table: list[Row]) -> Iterator[Row]:
    """Passes the rows on and keeps them; Ctrl-C between two rows ends them."""
    try:
        for row in source:
            table.append(row)
            yield row
    except KeyboardInterrupt:
        return


def _announced(found: Iterator[Row], numbers: list[int]) -> Iterator[Row]:
    """Passes the rows on; a terminal shows which one is being searched for, as that can take minutes."""
    terminal = sys.stderr.isatty()
    for number in numbers:
        if terminal:
            print(f"searching q = {number}; Ctrl-C shows what is known", end="", file=sys.stderr, flush=True)
        row = next(found, None)
        if terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if row is None:
            return
        yield row


def _title(assignment: Assignment) -> str:
    return (
        f"{assignment.scheme}: K = {assignment.num_workers} workers, f = {assignment.num_files} files, "
        f"load l = {assignment.load}, replication r = {assignment.replication}"
        f"{'' if assignment.threshold == (assignment.replication + 1) / 2 else ', corrupted by all copies'}"
    )


def _print_heading(assignment: Assignment) -> None:
    report = spectrum(assignment)
    print(_title(assignment))
    print(f"second eigenvalue {report.mu1:.4f}; {'a' if report.is_ramanujan else 'not a'} Ramanujan graph")
    print(f"{'q':>3} {'c_max':>7} {'epsilon':>8} {'baseline':>9} {'frc':>7} {'bound':>7}  {'proved':6}  witness", flush=True)


def _line(row: Row) -> str:
    result = row.result
    count = str(result.c_max) if result.exact else f"{result.c_max}-{result.upper_bound}"
    epsilon = f"{'' if result.exact else '>='}{result.epsilon:.4f}"
    in_groups = "-" if row.epsilon_frc is None else f"{row.epsilon_frc:.4f}"
    bound = "-" if row.spectral_bound is None else f"{row.spectral_bound:.2f}"
    return (
        f"{result.num_byzantine:3d} {count:>7} {epsilon:>8} {row.epsilon_baseline:9.4f} {in_groups:>7} {bound:>7}  "
        f"{'yes' if result.exact else 'no':6}  {' '.join(map(str, result.witness))}"
    )


def _curves(assignment: Assignment, table: list[Row], time_limit: float | None) -> list[Curve]:
    """epsilon by q for the placement, for the other schemes with the same K and r, and for the closed forms."""
    numbers = [row.result.num_byzantine for row in table]
    files = assignment.num_files
    bound = tuple((row.result.num_byzantine, row.spectral_bound / files) for row in table if row.spectral_bound is not None)
    curves = [Curve(label=assignment.scheme, points=_epsilons(assignment, table), bound=bound)]
    for other in _others_of_this_size(assignment):
        other = replace(other, threshold=assignment.threshold)
        curves.append(Curve(label=other.scheme, points=_epsilons(other, rows(other, numbers, time_limit=time_limit))))
    closed = {
        "baseline": tuple((row.result.num_byzantine, row.epsilon_baseline, row.epsilon_baseline) for row in table),
        "frc": tuple((row.result.num_byzantine, e, e) for row in table if (e := row.epsilon_frc) is not None),
    }
    return curves + [Curve(label=name, points=points) for name, points in closed.items() if points and name != assignment.scheme]


def _others_of_this_size(assignment: Assignment) -> Iterator[Assignment]:
    closed_forms = {"baseline", "frc", assignment.scheme}
    copies = assignment.replication
    for other in fitting_placements(assignment.num_workers, most_copies=copies, slack=0, even=copies % 2 == 0):
        if other.scheme not in closed_forms and other.replication == assignment.replication:
            yield other


def _epsilons(assignment: Assignment, table: Iterable[Row]) -> tuple[tuple[int, float, float], ...]:
    results = [row.result for row in table]
    return tuple((result.num_byzantine, result.epsilon, result.upper_bound / assignment.num_files) for result in results)
