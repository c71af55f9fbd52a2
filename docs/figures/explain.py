"""Draws the picture that explains the system, docs/figures/explain.svg: batch, files, workers, votes, rule.

    python docs/figures/explain.py

Placement, liars and votes are those of the library. The colors follow the reader's light or dark mode; where a program does not
know of modes, the picture is light, on paper of its own.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from byzshield.distortion import corrupted_files, worst_case
from byzshield.placement import Assignment, ramanujan2

OUTPUT: Final = Path(__file__).with_name("explain.svg")
WIDTH, HEIGHT = 1000, 620
TOP, ROW = 150, 44  # the middle of the first row, and from row to row
BATCH, FILES, WORKERS, VOTES, WINNERS, RULE = 72, 200, 430, 665, 780, 910
NUM_BYZANTINE: Final = 2

# class: (attribute, in light mode, in dark mode)
COLORS: Final = {
    "paper": ("fill", "#ffffff", "#12161b"),
    "ink": ("fill", "#1b1f24", "#e8edf2"),
    "muted": ("fill", "#57606a", "#a3adb8"),
    "edge": ("stroke", "#8c959f", "#6b7683"),
    "box": ("fill", "#e8eef6", "#26313d"),
    "rim": ("stroke", "#57606a", "#a3adb8"),
    "good": ("fill", "#0b5cad", "#7cb8ff"),
    "bad": ("fill", "#b3261e", "#ff9d94"),
    "lie": ("stroke", "#b3261e", "#ff9d94"),
    "sign": ("stroke", "#ffffff", "#12161b"),
    "mark": ("fill", "#ffffff", "#12161b"),
    "flow": ("stroke", "#0b5cad", "#7cb8ff"),
}

HEADS: Final = (
    (BATCH, "1  batch", ("the samples", "of one step")),
    (FILES, "2  files", ("the batch is cut", "into {f} files")),
    (WORKERS, "3  workers", ("each computes the gradients", "of {l} files; {q} of them lie")),
    (VOTES, "4  votes", ("{r} copies of each file:", "the majority wins")),
    (RULE, "5  rule", ("a robust rule", "bears {c} of {f}")),
)


def draw() -> str:
    """The picture as SVG."""
    assignment = ramanujan2(m=3, replication=3)
    liars = worst_case(assignment, NUM_BYZANTINE).witness
    lost = corrupted_files(assignment, liars)
    parts = [
        *_lines(assignment, liars, lost),
        *_heads(assignment, len(lost)),
        *_nodes(assignment, liars, lost),
        *_rule(assignment),
    ]
    return "\n".join([*_frame(assignment, len(liars), len(lost)), *parts, "</svg>", ""])


def _frame(assignment: Assignment, num_liars: int, num_lost: int) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title description" '
        "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\" text-anchor=\"middle\">"
    )
    yield '<title id="title">How byzshield trains: batch, files, workers, votes, rule</title>'
    copies, files = assignment.replication, assignment.num_files
    yield (
        f'<desc id="description">The batch of one step is cut into {files} files. Each file goes to {copies} of '
        f"{assignment.num_workers} workers, who compute its gradient. {num_liars} of them lie together. The majority of a file's "
        f"copies wins, so that the liars win {num_lost} of {files} files and lose the others. A robust rule combines the "
        "winners, then the optimizer makes a step, and the new parameters go to all workers.</desc>"
    )
    yield "<style>"
    for mode in (1, 2):
        rules = " ".join(f".{name}{{{values[0]}:{values[mode]}}}" for name, values in COLORS.items())
        yield rules if mode == 1 else f"@media (prefers-color-scheme: dark) {{ {rules} }}"
    yield ".line{fill:none;stroke-linecap:round}"
    yield "</style>"
    yield f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="12"/>'


def _heads(assignment: Assignment, num_lost: int) -> Iterator[str]:
    known = {
        "f": assignment.num_files,
        "l": assignment.load,
        "q": NUM_BYZANTINE,
        "r": assignment.replication,
        "c": num_lost,
    }
    for x, head, words in HEADS:
        middle = (VOTES + WINNERS) // 2 - 15 if x == VOTES else x
        yield _text(middle, 40, head, size=20, weight=600)
        for line, text in enumerate(words):
            yield _text(middle, 66 + 19 * line, text.format(**known), size=15, kind="muted")


def _lines(assignment: Assignment, liars: tuple[int, ...], lost: list[int]) -> Iterator[str]:
    copies = [(worker, file) for worker, files in enumerate(assignment.files_of.tolist()) for file in files]
    for file in range(assignment.num_files):
        yield _curve(BATCH + 27, TOP + ROW * 4 + 14 * (file - 4), FILES - 20, _y(file))
    for worker, file in sorted(copies, key=lambda copy: copy[0] in liars):
        place = assignment.workers_of[file].tolist().index(worker)
        yield _curve(FILES + 20, _y(file), WORKERS - 20, _y(worker))
        yield _curve(WORKERS + 20, _y(worker), VOTES - 46, _y(file) + 8 * (place - 1), lie=worker in liars)
    for file in range(assignment.num_files):
        yield _curve(VOTES + 50, _y(file), WINNERS - 16, _y(file), lie=file in lost)
        yield _curve(WINNERS + 16, _y(file), RULE - 60, TOP + ROW * 4 + 14 * (file - 4), lie=file in lost)


def _nodes(assignment: Assignment, liars: tuple[int, ...], lost: list[int]) -> Iterator[str]:
    for stripe in range(assignment.num_files):
        yield f'<rect class="box rim" x="{BATCH - 25}" y="{TOP + ROW * 4 + 14 * (stripe - 4) - 7}" width="50" height="14"/>'
    for number in range(assignment.num_files):
        yield f'<rect class="box rim" x="{FILES - 18}" y="{_y(number) - 15}" width="36" height="30" rx="4"/>'
        yield _text(FILES, _y(number) + 5, str(number), size=15)
        yield from _votes(assignment, number, liars)
        yield from _verdict(WINNERS, _y(number), good=number not in lost, size=14)
    for worker in range(assignment.num_workers):
        lies = worker in liars
        yield f'<circle class="{"bad" if lies else "box rim"}" cx="{WORKERS}" cy="{_y(worker)}" r="18"/>'
        yield _text(WORKERS, _y(worker) + 5, str(worker), size=15, kind="mark" if lies else "ink", weight=700 if lies else 400)


def _votes(assignment: Assignment, file: int, liars: tuple[int, ...]) -> Iterator[str]:
    for place, worker in enumerate(assignment.workers_of[file].tolist()):
        yield from _verdict(VOTES - 30 + 30 * place, _y(file), good=worker not in liars, size=11)


def _verdict(x: int, y: int, *, good: bool, size: int) -> Iterator[str]:
    """A square with a tick, or one with a cross."""
    kind, side, arm = "good" if good else "bad", 2 * size, size // 2
    yield f'<rect class="{kind}" x="{x - size}" y="{y - size}" width="{side}" height="{side}" rx="3"/>'
    tick = f"M{x - arm},{y} l{arm - 1},{arm} l{arm + 1},-{2 * arm - 1}"
    cross = f"M{x - arm},{y - arm} l{2 * arm},{2 * arm} m0,-{2 * arm} l-{2 * arm},{2 * arm}"
    yield f'<path class="line sign" stroke-width="2.5" d="{tick if good else cross}"/>'


def _rule(assignment: Assignment) -> Iterator[str]:
    middle = TOP + ROW * 4
    yield f'<rect class="box rim" x="{RULE - 58}" y="{middle - 74}" width="116" height="148" rx="8" stroke-width="1.5"/>'
    for line, text in enumerate(("median,", "trimmed mean,", "Krum, ...")):
        yield _text(RULE, middle - 36 + 20 * line, text, size=13)
    yield _text(RULE, middle + 46, "then a step", size=13)
    low = TOP + ROW * (assignment.num_files - 1) + 62
    yield (
        f'<path class="line flow" stroke-width="2.5" d="M{RULE},{middle + 74} V{low - 10} q0,10 -10,10 H{WORKERS + 10} '
        f'q-10,0 -10,-10 V{low - 32}"/>'
    )
    yield f'<path class="good" d="M{WORKERS},{low - 40} l-7,13 h14 z"/>'
    yield _text(
        (WORKERS + RULE) // 2, low + 24, "new parameters go to all workers, and the next step begins", size=15, kind="muted"
    )
    yield _legend(low + 24)


def _legend(y: int) -> str:
    mark = "".join(_verdict(40, y - 5, good=False, size=9))
    return (
        mark
        + f'<g text-anchor="start">{_text(56, y, "a copy that liars sent, or a file that they won", size=15, kind="muted")}</g>'
    )


def _text(x: int, y: int, text: str, *, size: int, kind: str = "ink", weight: int = 400) -> str:
    bold = "" if weight == 400 else f' font-weight="{weight}"'
    return f'<text class="{kind}" x="{x}" y="{y}" font-size="{size}"{bold}>{escape(text)}</text>'


def _curve(x: int, y: int, to_x: int, to_y: int, *, lie: bool = False) -> str:
    """A line that leaves and arrives level; a lie is thick and dashed."""
    bend = (to_x - x) // 2
    style = 'class="line lie" stroke-width="2.2" stroke-dasharray="7 4"' if lie else 'class="line edge" stroke-width="1"'
    return f'<path {style} d="M{x},{y} C{x + bend},{y} {to_x - bend},{to_y} {to_x},{to_y}"/>'


def _y(row: int) -> int:
    return TOP + ROW * row


if __name__ == "__main__":
    OUTPUT.write_text(draw(), encoding="utf-8")
