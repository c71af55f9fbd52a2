"""The picture that explains the system: it is what its script draws, and everybody can read it."""

import re
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(REPOSITORY / "docs" / "figures" / "explain.py"))
STORED = (REPOSITORY / "docs" / "figures" / "explain.svg").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


def luminance(color):
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_stored_picture_is_what_the_script_draws():
    assert SCRIPT["draw"]() == STORED, "run: python docs/figures/explain.py"


def test_it_is_named_and_described_for_who_cannot_see_it():
    root = ElementTree.fromstring(STORED)
    assert root.get("role") == "img"
    named = [root.find(f".//*[@id='{name}']") for name in root.get("aria-labelledby").split()]
    assert [element.tag for element in named] == [f"{SVG}title", f"{SVG}desc"]
    assert all(element.text for element in named)


def test_it_needs_nothing_else():
    assert not re.findall(r"(?:href|src)=|url\(|@import|<script", STORED)


@pytest.mark.parametrize("mode", [1, 2], ids=["light", "dark"])
def test_texts_and_signs_stand_out_in_both_modes(mode):
    colors = {name: values[mode] for name, values in SCRIPT["COLORS"].items()}
    pairs = [("ink", "paper"), ("muted", "paper"), ("ink", "box"), ("mark", "bad"), ("sign", "bad"), ("sign", "good")]
    assert {
        pair: contrast(colors[pair[0]], colors[pair[1]]) for pair in pairs if contrast(colors[pair[0]], colors[pair[1]]) < 4.5
    } == {}
    lines = [name for name in ("lie", "flow", "rim") if contrast(colors[name], colors["paper"]) < 3]
    assert lines == []


def test_every_class_has_a_color_in_both_modes_and_the_paper_is_its_own():
    used = {word for found in re.findall(r'class="([^"]+)"', STORED) for word in found.split()} - {"line"}
    assert used <= set(SCRIPT["COLORS"])
    light, dark = STORED.partition("@media (prefers-color-scheme: dark)")[::2]
    for name in used:
        assert f".{name}{{" in light
        assert f".{name}{{" in dark
    assert re.search(r'<rect class="paper" width="\d+" height="\d+"', STORED)


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_the_pages_show_it_with_words_for_who_cannot_see_it(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    (words,) = re.findall(r"!\[([^]]+)\]\((?:docs/)?figures/explain\.svg\)", text)
    assert len(words) > 40
