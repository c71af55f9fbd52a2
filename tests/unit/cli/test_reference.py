"""docs/run_file.md is what the code says, and its examples are run files."""

import re
import tomllib
from pathlib import Path

import pytest

from byzshield.cli.reference import COMMAND, page
from byzshield.config import RunConfig, load
from byzshield.runtime import simulate

PAGE = Path(__file__).parents[3] / "docs" / "run_file.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/run_file.md is out of date; write it anew with: {COMMAND}"


def test_every_key_of_every_section_is_on_the_page_with_its_meaning() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, section in RunConfig.sections().items():
        (table,) = re.findall(rf"### \[{name}\]\n(.*?)```", text, flags=re.DOTALL)
        rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.+?) \|$", table, flags=re.MULTILINE))
        assert rows.keys() == section.known_keys()
        assert all(len(meaning) > 1 for meaning in rows.values())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_every_example_is_a_run_file(example: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(example)
    assert load(path) != RunConfig()


def test_there_is_an_example_of_every_section_and_together_they_train(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("\n".join(EXAMPLES))
    assert tomllib.loads(path.read_text()).keys() == RunConfig.sections().keys()
    # Detection and audits exclude each other.
    config = load(path, ["run.steps=1", "vote.name=exact", f"run.output_dir={tmp_path}"])
    assert simulate(config)[1]["skipped_steps"] == 0
