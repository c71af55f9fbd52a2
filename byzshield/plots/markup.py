"""Tables and reports as Markdown, LaTeX and CSV."""

import csv
import io
import re
from collections.abc import Iterator, Sequence

from byzshield.plots.document import Bullets, Code, Figure, Folded, Heading, Part, Section, Table

__all__ = ["as_csv", "as_latex", "as_markdown", "markdown_table"]

LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """A report without its figures, of which it has the description."""
    lines = [f"# {_text(title)}"]
    for section in sections:
        lines += [f"## {_text(section.title)}", *_blocks(section.parts)]
    return "\n\n".join(lines) + "\n"


def markdown_table(table: Table) -> str:
    """A table in GitHub's Markdown, whose columns are aligned."""
    rows = [tuple(_text(cell).replace("|", "\\|") for cell in row) for row in table.rows]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    rule = [f"{'-' * (width - 1)}:" if right else "-" * width for width, right in zip(widths, table.numeric, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, table.numeric, strict=True)
        )
        + " |"
        for row in rows
    ]
    return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])


def as_latex(table: Table) -> str:
    """A table as a LaTeX tabular, which needs no package."""
    columns = "".join("r" if right else "l" for right in table.numeric)
    head, *rows = (" & ".join(_latex(cell) for cell in row) + r" \\" for row in table.rows)
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"])


def as_csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows as RFC 4180 has them, but for the ends of lines; None is empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _blocks(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Table):
            yield markdown_table(part)
        elif isinstance(part, Figure):
            yield f"*{_text(part.title)}*: {_text(part.text)}"
        elif isinstance(part, Code):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", part.text)), default=0))
            yield f"{fence}text\n{part.text}\n{fence}"
        elif isinstance(part, Bullets):
            yield "\n".join(f"- {_text(item)}" for item in part.items)
        elif isinstance(part, Heading):
            yield f"### {_text(part.text)}"
        elif isinstance(part, Folded):
            yield f"### {_text(part.title)}"
            yield from _blocks(part.parts)
        else:
            yield _text(part)


def _text(text: str) -> str:
    """On one line, with nothing that Markdown or HTML would take for its own."""
    return re.sub(r"([\\`*_<>\[\]])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))
