"""An HTML page that needs no other file: a title and sections."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from byzshield.errors import ParameterError, StorageError
from byzshield.plots.tables import Row
from byzshield.storage import named_errors, write_text

__all__ = ["table", "write_page"]

STYLE: Final = """\
body { font-family: sans-serif; margin: 2em; max-width: 80em }
table { border-collapse: collapse; margin-bottom: 1em }
td, th { border: 1px solid #ccc; padding: .3em .6em; text-align: left }
svg { max-width: 100%; height: auto }
.panels { display: flex; flex-wrap: wrap; gap: 1em }
figure { margin: 0; flex: 0 1 36em }
figcaption ul { list-style: none; margin: 0; padding: 0 }
figcaption li { display: inline-block; margin-right: 1.2em }"""


def write_page(path: Path, title: str, sections: Sequence[str]) -> None:
    """Writes a page.

    Args:
        path: its file; folders that are missing are made.
        title: of the page.
        sections: HTML.

    Raises:
        ParameterError: it cannot be written there.
    """
    page = (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>\n"
        f"<style>\n{STYLE}\n</style></head><body>\n<h1>{html.escape(title)}</h1>\n" + "\n".join(sections) + "\n</body></html>\n"
    )
    try:
        with named_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, page)
    except StorageError as error:
        raise ParameterError(f"the report {error}") from error


def table(rows: Sequence[Row]) -> str:
    """A row of headings and rows of text, as HTML."""
    head, *body = rows
    headings = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    return "\n".join([f"<table><tr>{headings}</tr>", *lines, "</table>"])
