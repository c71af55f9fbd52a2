"""Tables on terminals of every width."""

import re
from collections.abc import Callable

import pytest

from byzshield.cli.table import fitted, print_table

ROWS = [
    ("run", "attack", "rule", "files", "accuracy", "status", "reason"),
    ("mols", "digest_payload_mismatch", "median", "5 of 25 (20%)", "95.1% ± 0.4", "complete", "-"),
    (
        "a longer name",
        "alie",
        "median",
        "12 of 25 (48%)",
        "9.5%",
        "failed",
        "the model diverged at step 7, so lower optimizer.lr",
    ),
    ("killed", "alie", "median", "-", "-", "killed", "-"),
    ("a\nb", "alie", "median", "-", "-", "complete", "-"),
]


def lines(width: int | None, **options: object) -> list[str]:
    return list(fitted(ROWS, width, **options))  # type: ignore[arg-type]


def test_without_a_terminal_each_row_is_one_aligned_line() -> None:
    found = lines(None)
    assert len(found) == 5
    assert [line.index("median") for line in found[1:]] == [found[1].index("median")] * 4
    ends = [re.search(r"(95\.1% ± 0\.4|9\.5%|-)  (?=complete|failed|killed)", line) for line in found[1:]]
    assert len({match.end(1) for match in ends if match}) == 1  # numbers stand on the right
    assert found[2].endswith("lower optimizer.lr")
    assert found[4].startswith(r"a\nb")


@pytest.mark.parametrize("width", range(20, 141, 6))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    found = lines(width)
    assert max(map(len, found)) <= width
    text = re.sub(r"\s+", "", "".join(found))
    for word in ("longer", "diverged", "optimizer.lr", "mismatch", "(20%)", "median", "failed"):
        assert word in text


def test_where_room_is_scarce_reasons_go_below_and_what_is_the_same_is_said_once() -> None:
    found = lines(75)
    assert found[0] == "all: rule median"
    assert any(line.startswith("    the model diverged") for line in found)


def test_spare_columns_are_left_out_before_rows_become_blocks() -> None:
    assert any(line.startswith("run: ") for line in lines(42))
    found = lines(42, spare=("files",))
    assert not any(line.startswith("run: ") for line in found)
    assert found[-1] == "no room for files: --json has them"


def test_a_table_of_headings_alone_is_a_line() -> None:
    assert list(fitted([("run", "seed")], None)) == ["run  seed"]


@pytest.mark.parametrize(
    ("environment", "terminal", "colored"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False), ({}, False, False)],
)
def test_colors_are_for_terminals_that_want_them(
    environment: dict[str, str],
    terminal: bool,
    colored: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "120")
    answer: Callable[[], bool] = lambda: terminal  # noqa: E731
    monkeypatch.setattr("sys.stdout.isatty", answer, raising=False)
    print_table(ROWS)
    printed = capsys.readouterr().out
    assert ("\x1b[31mfailed" in printed) is colored
    assert printed.count("\x1b[31mkilled") == colored  # as a status, and not as the name of a run
    assert ("\x1b[" in printed) is colored
    plain = re.sub(r"\x1b\[\d*m", "", printed)
    assert max(map(len, plain.splitlines())) <= 120
