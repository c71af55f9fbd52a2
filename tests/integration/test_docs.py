"""The pages for users: their links lead somewhere, and what they show runs as it stands there."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from byzshield.cli.main import main

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A block of code: bash and python are run, anything else (sh, text) is not."""

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page in docs/, in its order."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return [Block(*parts) for parts in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, whose modules are forgotten afterwards and do not meet those in tests/ of their names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(REPOSITORY / "tests")])
    monkeypatch.delitem(sys.modules, "own_data", raising=False)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def run_all(page: str) -> None:
    """Saves or runs what a page shows, a line of bash as a command of this process. The runs of its projects are cut short.

    What a comment behind a call of print says is what it prints.
    """
    names: dict[str, object] = {}
    for language, text in blocks(page):
        if language == "python" and (saved := re.match(r"# (\S+\.py)\n", text)):
            Path(saved[1]).write_text(text)
        elif language == "python":
            with redirect_stdout(StringIO()) as shown:
                exec(text, names)
            assert set(re.findall(r"^ *print\(.+\)  # (.+)$", text, flags=re.MULTILINE)) <= set(shown.getvalue().splitlines())
        elif language == "bash":
            for line in text.splitlines():
                run_line(line)


def run_line(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[:1] == ["cd"]:
        os.chdir(words[1])
    elif words:
        assert words[0] == "byzshield", line
        assert main(words[1:]) == 0, line
    if words[:2] == ["byzshield", "init"]:
        run_file = Path(words[2]) / "run.toml"
        run_file.write_text(re.sub(r"^(steps|\w+_every) = \d+", r"\1 = 2", run_file.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("page", ["start.md", "own_components.md", "python_api.md"])
def test_what_a_page_shows_runs_as_it_stands_there(page: str, scratch: Path) -> None:
    run_all(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_way_in() -> None:
    way_in = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name}" in way_in


def test_the_words_that_the_first_pages_stress_are_in_the_glossary() -> None:
    glossary = (REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in re.findall(r"(?<!\*)\*(\w+)\*(?!\*)", (REPOSITORY / "docs" / "start.md").read_text(encoding="utf-8")):
        assert word == "italics" or re.search(rf"^\| {word.removesuffix('s')}", glossary, flags=re.MULTILINE), word
