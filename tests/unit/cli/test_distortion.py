"""`byzshield distortion`: what it prints and how it ends."""

import argparse
import json

import pytest

from byzshield.cli import distortion
from byzshield.cli.distortion import parse_numbers
from byzshield.distortion import SearchInterrupted, WorstCase, table
from byzshield.errors import ConfigError, ParameterError, PlacementError

MOLS = ["distortion", "--scheme", "mols", "--load", "5", "--replication", "3"]


@pytest.fixture(autouse=True)
def _private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*words):
    parser = argparse.ArgumentParser(prog="byzshield")
    distortion.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(words)
    return arguments.run(arguments)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("5", [5]), ("2,4", [2, 4]), ("3:6", [3, 4, 5, 6]), ("4:4", [4]), ("7,2:3,3", [2, 3, 7]), ("0", [0])],
)
def test_numbers_lists_and_inclusive_ranges_are_read(text, numbers):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "x", "3:", ":3", "1:2:3", "-1", "2,", "5:3", "1.5", "1:99999999", "1:1000000", "9" * 5000])
def test_anything_else_is_refused(text):
    with pytest.raises(ParameterError, match="--byzantine"):
        parse_numbers(text)


def test_json_is_one_document_and_nothing_else(capsys):
    assert run(*MOLS, "--byzantine", "2:7", "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [row["c_max"] for row in document["rows"]] == [1, 3, 5, 8, 12, 14]
    assert captured.err == ""


def test_the_table_shows_each_row_with_its_witness(capsys):
    assert run(*MOLS, "--byzantine", "3,5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "K = 15 workers, f = 25 files" in lines[0]
    assert "0.3333; a Ramanujan graph" in lines[1]
    assert lines[3].split() == ["3", "3", "0.1200", "0.2000", "0.2000", "4.29", "yes", "0", "5", "11"]
    assert lines[4].split()[:2] == ["5", "8"]


def test_an_unfinished_row_is_an_interval(capsys):
    words = ["distortion", "--scheme", "mols", "--load", "11", "--replication", "7", "--byzantine", "14"]
    assert run(*words, "--time-limit", "0.2") == 0
    row = capsys.readouterr().out.splitlines()[3].split()
    lower, upper = row[1].split("-")
    assert 0 < int(lower) < int(upper)
    assert row[6] == "no"


def test_a_time_limit_that_is_none_is_refused_before_the_table_begins(capsys):
    with pytest.raises(ParameterError, match=r"--time-limit must be positive; got -1\.0 seconds"):
        run(*MOLS, "--byzantine", "3", "--time-limit", "-1")
    assert capsys.readouterr().out == ""


def test_a_terminal_shows_what_is_being_searched(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run(*MOLS, "--byzantine", "3:4") == 0
    captured = capsys.readouterr()
    assert captured.err == "".join(f"searching q = {q}; Ctrl-C shows what is known\r\x1b[K" for q in (3, 4))
    assert len(captured.out.splitlines()) == 5


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_ctrl_c_prints_what_is_known(json_flag, capsys, monkeypatch):
    known = WorstCase(num_byzantine=4, c_max=4, epsilon=0.16, exact=False, witness=(0, 1, 5, 6), upper_bound=9)
    original = table.worst_case

    def stopped(assignment, *, num_byzantine, **others):
        if num_byzantine == 4:
            raise SearchInterrupted(known)
        return original(assignment, num_byzantine=num_byzantine, **others)

    monkeypatch.setattr(table, "worst_case", stopped)
    assert run(*MOLS, "--byzantine", "3:6", *json_flag) == 130
    out = capsys.readouterr().out
    if json_flag:
        assert [(row["q"], row.get("upper_bound")) for row in json.loads(out)["rows"]] == [(3, None), (4, 9)]
    else:
        assert "    4-9 >=0.1600" in out
        assert "interrupted" in out


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_plot_is_written(suffix, tmp_path, capsys):
    path = tmp_path / f"epsilon.{suffix}"
    assert run(*MOLS, "--byzantine", "2:4", "--json", "--plot", str(path)) == 0
    assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, "cache"}
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[suffix])
    json.loads(capsys.readouterr().out)


def test_the_plot_compares_the_schemes_of_the_same_size(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(distortion, "draw_epsilon", lambda curves, path, title: drawn.update({it.label: it for it in curves}))
    assert run(*MOLS, "--byzantine", "2:3", "--json", "--plot", str(tmp_path / "e.png")) == 0
    assert set(drawn) == {"mols", "ramanujan1", "steiner", "cyclic", "baseline", "frc"}
    assert drawn["mols"].points == ((2, 0.04, 0.04), (3, 0.12, 0.12))
    assert [round(25 * bound, 2) for _, bound in drawn["mols"].bound] == [2.11, 4.29]
    assert drawn["frc"].points == ((2, 0.2, 0.2), (3, 0.2, 0.2))


def test_the_plot_compares_schemes_of_two_copies_too(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(distortion, "draw_epsilon", lambda curves, path, title: drawn.extend(curve.label for curve in curves))
    words = ["distortion", "--scheme", "mols", "--load", "7", "--replication", "2", "--byzantine", "2:3"]
    assert run(*words, "--json", "--plot", str(tmp_path / "e.png")) == 0
    assert drawn == ["mols", "cyclic", "ramanujan1", "baseline", "frc"]


@pytest.mark.parametrize("path", ["", "epsilon.txt", "no/such/folder/epsilon.png", "folder.png"])
def test_a_plot_that_cannot_be_written_is_refused_before_the_search(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr(table, "worst_case", lambda *_, **__: pytest.fail("searched"))
    with pytest.raises(ParameterError, match="figure"):
        run(*MOLS, "--byzantine", "2", "--plot", path)


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (["--scheme", "mols", "--load", "6", "--replication", "3", "--byzantine", "2"], PlacementError, "prime power"),
        (["--scheme", "mol", "--load", "5", "--replication", "3", "--byzantine", "2"], ConfigError, "mols"),
        (["--scheme", "custom", "--assignment", "missing.json", "--byzantine", "2"], PlacementError, "missing.json"),
        (["--scheme", "mols", "--load", "5", "--replication", "3", "--byzantine", "2:16"], ParameterError, "15; got 16"),
        (["--scheme", "baseline", "--workers", "1000000", "--byzantine", "2"], PlacementError, "analyzed up to"),
    ],
)
def test_wrong_requests_are_request_errors(words, error, says):
    with pytest.raises(error, match=says):
        run("distortion", *words)


def test_a_placement_read_from_a_file_is_analyzed(tmp_path, capsys):
    path = tmp_path / "fano.json"
    path.write_text('{"files_of": [[0,1,2],[0,3,4],[0,5,6],[1,3,5],[1,4,6],[2,3,6],[2,4,5]]}')
    assert run("distortion", "--scheme", "custom", "--assignment", str(path), "--byzantine", "2:4", "--json") == 0
    # In the Fano plane two lines meet in one point; three meet in pairs; a fourth adds its meetings: 1, 3, 6.
    assert [row["c_max"] for row in json.loads(capsys.readouterr().out)["rows"]] == [1, 3, 6]
