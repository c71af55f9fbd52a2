"""docs/architecture.md speaks of files that exist."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_path_is_one_of_the_package_or_of_the_repository() -> None:
    paths = set(re.findall(r"\b[\w.]+(?:/[\w.]+)+\.(?:py|sh|toml|md)\b", PAGE))
    assert len(paths) > 20
    assert {path for path in paths if not any((root / path).exists() for root in (REPOSITORY, REPOSITORY / "byzshield"))} == set()


def test_every_package_and_every_module_beside_them_is_named() -> None:
    package = REPOSITORY / "byzshield"
    named = set(re.findall(r"\w+/?", PAGE))
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    assert folders | modules <= named
