"""The page on aggregation tells what the rules say of themselves."""

from pathlib import Path

import pytest

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, describe

PAGE = (Path(__file__).parents[3] / "docs" / "aggregation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*AGGREGATORS.names(), *PRE_AGGREGATORS.names()])
def test_the_table_has_a_line_with_the_facts_of_every_rule(name):
    facts = describe(name)
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == f"`{facts['class']}`"
    assert cells[3:] == [facts["minimum"], facts["breakdown"], facts["cost"], facts["paper"]]
    own = [f"`{p['name']}` ({p['default']})" for p in facts["parameters"] if p["name"] != "num_corrupted"]
    assert cells[2] == (", ".join(own) or "none")
