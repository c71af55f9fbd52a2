"""Colors for paper and screen, light and dark: figures are drawn in the light ones, which a page exchanges for its variables."""

import re
from typing import Final

__all__ = ["BAD", "DASHES", "GOOD", "GRID", "INK", "MUTED", "PAPER", "SERIES", "WARN", "adaptive", "css"]

# name: (light, dark); every one but the last two reads as text, with a contrast of 4.5 : 1 at least, on its background.
COLORS: Final = {
    "ink": ("#1b1f24", "#e8edf2"),
    "muted": ("#57606a", "#a3adb8"),
    "good": ("#116329", "#7ee2a0"),
    "bad": ("#b3261e", "#ff9d94"),
    "warn": ("#8a4b00", "#ffb86b"),
    "s0": ("#0b5cad", "#7cb8ff"),
    "s1": ("#b04a02", "#ffa860"),
    "s2": ("#7a35d6", "#c9a7ff"),
    "s3": ("#0d6e65", "#5fd6c9"),
    "s4": ("#a8185a", "#ff9ac4"),
    "s5": ("#4d6b10", "#b9d86a"),
    "s6": ("#6d4a36", "#d9b199"),
    "s7": ("#4a5568", "#b8c4d6"),
    "grid": ("#d5dae0", "#3a424c"),
    "paper": ("#ffffff", "#12161b"),
}
INK, MUTED, GRID = (COLORS[name][0] for name in ("ink", "muted", "grid"))
GOOD, BAD, WARN, PAPER = (COLORS[name][0] for name in ("good", "bad", "warn", "paper"))
SERIES: Final = tuple(COLORS[f"s{number}"][0] for number in range(8))
DASHES: Final[tuple[tuple[float, ...], ...]] = (
    (), (4, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (2.5, 1), (8, 2), (4, 1, 1, 1, 1, 1), (1.2, 2.4),
)  # fmt: skip


def css() -> str:
    """The variables of a page."""
    light, dark = (";".join(f"--{name}:{pair[mode]}" for name, pair in COLORS.items()) for mode in (0, 1))
    return f":root{{color-scheme:light dark;{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"


def adaptive(svg: str) -> str:
    """SVG whose colors are those of the page that it stands in."""
    names = {pair[0]: name for name, pair in COLORS.items()}
    return re.sub("|".join(names), lambda match: f"var(--{names[match[0]]})", svg)
