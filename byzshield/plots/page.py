"""A report as one HTML page without a script or a network, for a desk or a phone, light or dark, mouse or keyboard."""

import html
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from byzshield.plots.document import Bullets, Code, Figure, Folded, Heading, Key, Part, Section, Table
from byzshield.plots.markup import as_csv, as_latex, markdown_table
from byzshield.plots.theme import adaptive, css

__all__ = ["as_html"]

STYLE: Final = """\
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem clamp(.8rem,3vw,2rem) 4rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;margin:.5rem 0 0}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--grid)}
h3{font-size:1rem;margin:1.5rem 0 .5rem}p,ul{max-width:48rem}
a{color:var(--s0)}
nav{margin:.75rem 0}nav a{margin-right:1rem;display:inline-block;padding:.15rem 0}
.scroll{overflow-x:auto;max-width:100%;margin:.5rem 0}
:focus-visible{outline:3px solid var(--s0);outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid);overflow-wrap:normal}
th{vertical-align:bottom;border-bottom:2px solid var(--muted)}
td{min-width:3.5rem;max-width:26rem}td:not(.short){min-width:11rem}
th:first-child,td:first-child{position:sticky;left:0;background:var(--paper)}td.number,th.number{text-align:right}td.short{white-space:nowrap}
.complete{color:var(--good)}.failed,.killed,.refused,.proven,.expelled{color:var(--bad)}.stopped,.suspected,.unfinished{color:var(--warn)}
.running,.pending{color:var(--s0)}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1.5rem 2rem;align-items:start}
figure{margin:0;max-width:34rem}figure svg{display:block;width:100%;height:auto;font-family:inherit}
figcaption{font-size:.9rem}figcaption b{display:block;font-weight:600;margin-bottom:.25rem}
.keys{list-style:none;margin:.35rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;font-size:.85rem}
.keys svg{width:2rem;height:.8rem;display:inline-block;vertical-align:-.1rem;margin-right:.35rem}
details{margin:.4rem 0}details[open]:not(.copy){margin-bottom:1.6rem}
summary{cursor:pointer;padding:.15rem 0}details details:not(.copy){margin-left:.8rem}
pre{overflow:auto;max-height:24rem;max-width:100%;margin:.4rem 0;padding:.6rem .8rem;border:1px solid var(--grid);
border-radius:4px;font:.82rem/1.45 ui-monospace,"DejaVu Sans Mono",monospace;user-select:all}
.copy summary{font-size:.85rem;color:var(--muted)}.copies{display:flex;flex-wrap:wrap;gap:0 1rem}.copy{max-width:100%}
@media print{details>summary{display:none}nav,.copy{display:none}}"""
Draw = Callable[[Figure], str]
SHORT: Final = 18  # characters of a cell that are never broken
STATED: Final = ("status", "verdict")
STATUSES: Final = frozenset(
    ("complete", "failed", "killed", "refused", "stopped", "unfinished", "running", "pending", "proven", "suspected", "expelled")
)


def as_html(title: str, sections: Sequence[Section], *, draw: Draw) -> str:
    """The page.

    Args:
        title: of the page.
        sections: what is on it.
        draw: returns a figure as SVG.
    """
    anchors = {section.title: f"s{number}" for number, section in enumerate(sections)}
    links = "".join(f"<a href='#{anchor}'>{_text(name)}</a>" for name, anchor in anchors.items())
    body = "\n".join(
        f"<section aria-labelledby='{anchors[section.title]}'><h2 id='{anchors[section.title]}'>{_text(section.title)}</h2>\n"
        f"{_blocks(section.parts, draw)}</section>"
        for section in sections
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none';style-src 'unsafe-inline';img-src data:\">"
        f"<link rel='icon' href='data:,'><title>{_text(title)}</title>\n<style>\n{css()}\n{STYLE}\n</style></head><body>\n"
        f"<header><h1>{_text(title)}</h1><nav aria-label='sections'>{links}</nav></header>\n"
        f"<main>\n{body}\n</main></body></html>\n"
    )


def _blocks(parts: Sequence[Part], draw: Draw) -> str:
    """Parts one below the other, but for figures, which stand side by side."""
    return "\n".join(_joined(parts, draw)) + "\n"


def _joined(parts: Sequence[Part], draw: Draw) -> Iterator[str]:
    figures: list[Figure] = []
    for part in parts:
        if isinstance(part, Figure):
            figures.append(part)
            continue
        yield from _side_by_side(figures, draw)
        figures = []
        yield _block(part, draw)
    yield from _side_by_side(figures, draw)


def _side_by_side(figures: Sequence[Figure], draw: Draw) -> Iterator[str]:
    if figures:
        yield "<div class='figures'>\n" + "\n".join(_figure(figure, draw) for figure in figures) + "\n</div>"


def _block(part: Part, draw: Draw) -> str:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Code):
        return f"<pre tabindex='0' role='region' aria-label='{_text(part.name)}'>{_text(part.text)}</pre>"
    if isinstance(part, Bullets):
        return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in part.items) + "</ul>"
    if isinstance(part, Heading):
        return f"<h3>{_text(part.text)}</h3>"
    if isinstance(part, Folded):
        return f"<details><summary>{_text(part.title)}</summary>\n{_blocks(part.parts, draw)}</details>"
    assert isinstance(part, str)
    return f"<p>{_text(part)}</p>"


def _table(table: Table) -> str:
    """A table that scrolls by itself where it is too wide, and the same to copy."""
    head, *body = table.rows
    right = [" class='number'" if number else "" for number in table.numeric]
    headings = "".join(f"<th scope='col'{place}>{_text(cell)}</th>" for cell, place in zip(head, right, strict=True))
    lines = ["<tr>" + "".join(map(_cell, row, head, table.numeric)) + "</tr>" for row in body]
    copies = {"Markdown": markdown_table(table), "LaTeX": as_latex(table), "CSV": as_csv(table.rows)}
    folded = "".join(
        f"<details class='copy'><summary>{kind}</summary><pre tabindex='0' role='region' "
        f"aria-label='{_text(table.name)} as {kind}'>{_text(text)}</pre></details>"
        for kind, text in copies.items()
    )
    rows = "\n".join(lines)
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{_text(table.name)}'>\n"
        f"<table><thead><tr>{headings}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n<div class='copies'>{folded}</div>"
    )


def _cell(text: str, heading: str, number: bool) -> str:
    classes = ["number"] * number + ["short"] * (len(text) <= SHORT) + [text] * (heading in STATED and text in STATUSES)
    return f"<td{' class=' + repr(' '.join(classes)) if classes else ''}>{_text(text)}</td>"


def _figure(figure: Figure, draw: Draw) -> str:
    drawn = draw(figure).replace("<svg ", f"<svg role='img' aria-label='{_text(figure.text)}' ", 1)
    keys = "".join(f"<li>{_sample(key)}{_text(key.label)}</li>" for key in figure.keys)
    legend = f"<ul class='keys'>{keys}</ul>" if keys else ""
    return f"<figure><figcaption><b>{_text(figure.title)}</b></figcaption>{drawn}{legend}</figure>"


def _sample(key: Key) -> str:
    """A piece of the line, or of the area."""
    if key.area:
        shape = f"<rect x='8' y='1' width='16' height='10' style='fill:{key.color}'/>"
    else:
        dashes = f" stroke-dasharray='{' '.join(f'{2 * length:g}' for length in key.dashes)}'" if key.dashes else ""
        shape = f"<line x1='0' y1='6' x2='32' y2='6' style='stroke:{key.color}' stroke-width='2.5'{dashes}/>"
    return f"<svg viewBox='0 0 32 12' aria-hidden='true'>{adaptive(shape)}</svg>"


def _text(text: str) -> str:
    return html.escape(text)
