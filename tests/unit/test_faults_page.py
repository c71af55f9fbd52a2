"""docs/faults.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")


def test_every_row_ends_with_a_test_that_exists() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault")]
    defined = {
        name for path in TESTS.rglob("test_*.py") for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(rows) > 30
    for row in rows:
        last = row.strip("| ").split(" | ")[-1]
        named = re.findall(r"`(test_\w+)`", last)
        paths = re.findall(r"`(tests/[\w/.]+)`", last)
        assert named or paths or last == "the same", row
        assert set(named) <= defined, row
        assert all((TESTS.parent / path).exists() for path in paths), row
