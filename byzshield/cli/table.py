"""Tables on a terminal: no wider than it is, aligned, and without colors where these are not wanted or nobody sees them."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["fitted", "print_table"]

GAP: Final = "  "
LEAST: Final = 12  # characters of a line of text
NOTE: Final = "reason"  # a last column of sentences, which stand below their rows where there is no room beside them
BOLD, RED, YELLOW, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
COLORS: Final = {"failed": RED, "killed": RED, "refused": RED, "stopped": YELLOW, "unfinished": YELLOW}
Row = Sequence[str]


def print_table(rows: Sequence[Row], *, spare: Sequence[str] = ()) -> None:
    """Prints a row of headings and rows of text; as wide as it gets where there is no terminal and COLUMNS is not set.

    Args:
        rows: the headings first.
        spare: headings of columns that may be left out, the first one first, where there is no room for all.
    """
    width = shutil.get_terminal_size((0, 0)).columns
    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for line in fitted(rows, width or None, spare=spare, colored=colored):
        print(line)


def fitted(rows: Sequence[Row], width: int | None, *, spare: Sequence[str] = (), colored: bool = False) -> Iterator[str]:
    """The lines of a table.

    Where it is too wide, what is the same in all rows is said once, reasons go below their rows, words that are too many go on in
    the next line, and spare columns are left out; where even this does not help, each row is a block of lines.

    Args:
        rows: the headings first.
        width: of the terminal in characters; None without one.
        spare: headings of columns that may be left out, the first one first.
        colored: whether headings and statuses stand out.
    """
    rows = [[_printable(cell) for cell in row] for row in rows]
    notes = [""] * len(rows)
    if width is not None and not _fits(rows, width):
        shown, notes, shared, left_out = _shortened(rows, width, spare)
        widths = _narrowed(shown, width)
        if widths is None:
            yield from _blocks(rows, width)
            return
        yield from textwrap.wrap(f"all: {', '.join(shared)}", width) if shared else ()
    else:
        shown, widths, left_out = [list(row) for row in rows], _natural(rows), []
    right = [all(map(_is_number, column)) for column in zip(*shown[1:], strict=True)] or [False] * len(widths)
    for index, (row, note) in enumerate(zip(shown, notes, strict=True)):
        colors = [COLORS.get(cell, "") if colored and head == "status" else "" for head, cell in zip(shown[0], row, strict=True)]
        for line in _lines(row, widths, right, colors, at_end=not index):
            yield f"{BOLD}{line}{PLAIN}" if colored and not index else line
        yield from textwrap.wrap(note, width or 0, initial_indent="    ", subsequent_indent="    ") if note else ()
    if left_out and width is not None:
        yield from textwrap.wrap(f"no room for {', '.join(left_out)}: --json has them", width)


def _shortened(rows: Sequence[Row], width: int, spare: Sequence[str]) -> tuple[list[list[str]], list[str], list[str], list[str]]:
    """The rows with fewer columns, a note below each, what all rows share, and what is left out."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    notes, shared, left_out = [""] * len(rows), [], []
    if columns[-1][0] == NOTE:
        notes = ["", *("" if cell == "-" else cell for cell in columns.pop()[1:])]
    if len(rows) > 2:
        same = [column for column in columns[1:] if len(set(column[1:])) == 1]
        shared = [f"{column[0]} {column[1]}" for column in same]
        columns = [column for column in columns if column not in same]
    for heading in spare:
        if _narrowed(list(zip(*columns, strict=True)), width) is None and any(column[0] == heading for column in columns):
            columns = [column for column in columns if column[0] != heading]
            left_out.append(heading)
    return [list(row) for row in zip(*columns, strict=True)], notes, shared, left_out


def _natural(rows: Sequence[Row]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _fits(rows: Sequence[Row], width: int) -> bool:
    widths = _natural(rows)
    return sum(widths) + len(GAP) * (len(widths) - 1) <= width


def _narrowed(rows: Sequence[Row], width: int) -> list[int] | None:
    """The widths of columns, the widest narrowed until all fit; None if they cannot without breaking words."""
    widths = _natural(rows)
    room = width - len(GAP) * (len(widths) - 1)
    least = [max(len(piece) for cell in column for piece in (_pieces(cell) or [""])) for column in zip(*rows, strict=True)]
    while sum(widths) > room:
        excess = [size if size > low else 0 for size, low in zip(widths, least, strict=True)]
        if not any(excess):
            return None
        widths[excess.index(max(excess))] -= 1
    return widths


def _lines(row: Row, widths: Sequence[int], right: Sequence[bool], colors: Sequence[str], *, at_end: bool) -> Iterator[str]:
    """The lines of a row; cells begin at the same line, or, as headings do, end at the same."""
    wrapped = [_wrapped(cell, size) for cell, size in zip(row, widths, strict=True)]
    height = max(map(len, wrapped))
    for number in range(height):
        line = []
        for lines, size, number_column, color in zip(wrapped, widths, right, colors, strict=True):
            place = number - (height - len(lines) if at_end else 0)
            text = lines[place] if 0 <= place < len(lines) else ""
            text = text.rjust(size) if number_column else text.ljust(size)
            line.append(f"{color}{text}{PLAIN}" if color and text.strip() else text)
        yield GAP.join(line).rstrip()


def _wrapped(cell: str, size: int) -> list[str]:
    """A cell in lines, broken at spaces, or behind a hyphen or underscore."""
    lines = [""]
    for piece in _pieces(cell):
        glue = "" if not lines[-1] or lines[-1].endswith(("-", "_")) else " "
        if len(lines[-1]) + len(glue) + len(piece) <= size or not lines[-1]:
            lines[-1] += glue + piece
        else:
            lines.append(piece)
    return lines


def _pieces(cell: str) -> list[str]:
    return [piece for word in cell.split() for piece in re.findall(r"[^-_]+[-_]*|[-_]+", word)]


def _blocks(rows: Sequence[Row], width: int) -> Iterator[str]:
    """Each row below the other: "heading: cell"."""
    head, *body = rows
    for number, row in enumerate(body):
        if number:
            yield ""
        for heading, cell in zip(head, row, strict=True):
            yield from textwrap.wrap(f"{heading}: {cell}", max(width, LEAST), subsequent_indent="  ")


def _is_number(cell: str) -> bool:
    return not cell or cell == "-" or cell[0].isdigit() or (cell[0] == "-" and cell[1:2].isdigit())


def _printable(cell: str) -> str:
    """Names of folders may have line breaks in them."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in cell)
