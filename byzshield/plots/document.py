"""A report as parts that know no format: paragraphs, tables, figures, code, and what is folded away."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "NONE",
    "Bullets",
    "Code",
    "Figure",
    "Folded",
    "Heading",
    "Key",
    "Part",
    "Row",
    "Section",
    "Table",
    "figures_of",
    "is_number",
    "wrapped",
]

Row = tuple[str, ...]
NONE: Final = "-"  # in place of a number that there is none of


@dataclass(frozen=True, kw_only=True)
class Table:
    """A row of headings, and rows of text.

    Args:
        name: what it is, for those who cannot see where it stands.
        rows: the headings first.
    """

    name: str
    rows: Sequence[Row]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column whether it holds numbers alone, which stand on the right."""
        return tuple(all(map(is_number, column)) for column in zip(*self.rows[1:], strict=True))


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a line or an area of a figure stands for.

    Args:
        label: in words.
        color: as matplotlib and HTML write it.
        dashes: lengths of strokes and gaps, in widths of the line; none for a line without gaps.
        area: whether it is an area.
    """

    label: str
    color: str
    dashes: tuple[float, ...] = ()
    area: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Something to look at.

    Args:
        name: of its file; no two figures of a report have the same.
        title: what it shows.
        about: of what it shows it, which a page says above it, and a file of its own must say itself.
        text: the same for those who cannot see it.
        draw: draws it onto a pair of axes.
        keys: its legend.
        size: width and height in inches.
    """

    name: str
    title: str
    about: str = ""
    text: str
    draw: Callable[["Axes"], Any]
    keys: tuple[Key, ...] = ()
    size: tuple[float, float] = (4.8, 3.0)


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text to copy.

    Args:
        name: what it is.
        text: the text.
    """

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Within a section."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Parts under a line that opens them."""

    title: str
    parts: Sequence["Part"]


Part: TypeAlias = str | Heading | Table | Figure | Code | Bullets | Folded


@dataclass(frozen=True, kw_only=True)
class Section:
    """Parts under a heading; a text is a paragraph."""

    title: str
    parts: Sequence[Part]


def figures_of(parts: Sequence[Part]) -> list[Figure]:
    """The figures among parts, those that are folded away included."""
    found: list[Figure] = []
    for part in parts:
        if isinstance(part, Figure):
            found.append(part)
        elif isinstance(part, Folded):
            found += figures_of(part.parts)
    return found


def is_number(text: str) -> bool:
    """Whether a cell begins as a number does, or says that there is none.

    >>> [is_number(text) for text in ("95.1% ± 0.4", "-", "3 of 25", "mols", "")]
    [True, True, True, False, True]
    """
    return not text or text == NONE or text[0].isdigit() or (text[0] == "-" and text[1:2].isdigit())


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many characters, of which none ends within a setting such as "q = 3".

    >>> wrapped("MOLS with q = 3", 11)
    ['MOLS with', 'q = 3']
    """
    whole = "\u00a0=\u00a0"
    return [line.replace(whole, " = ") for line in textwrap.wrap(text.replace(" = ", whole), width)]
