"""`byzshield plan`: what it prints."""

import argparse
import json
import tomllib
from pathlib import Path

import pytest

from byzshield import simulate
from byzshield.cli import plan
from byzshield.errors import ParameterError
from byzshield.placement import assignment
from byzshield.planning import Cluster
from byzshield.planning.plan import ACCEPTED, ORDERS

LARGE = ["--workers", "57", "--byzantine", "5", "--max-replication", "3", "--slack", "0", "--time-limit", "0.01"]


@pytest.fixture(autouse=True)
def _private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*words):
    parser = argparse.ArgumentParser(prog="byzshield")
    plan.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(words)
    return arguments.run(arguments)


def test_the_plan_marks_one_placement_and_says_why(capsys):
    assert run("plan", "--workers", "9", "--byzantine", "2") == 0
    out = capsys.readouterr().out
    assert sum(line.startswith("*") for line in out.splitlines()) == 1
    assert "the fastest whose worst case" in " ".join(out.split())


def test_the_plan_prints_one_json_document(capsys):
    assert run("plan", "--workers", "9", "--byzantine", "2", "--bandwidth", "1", "--gradient-time", "3", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bandwidth"] == 1e9
    assert document["rows"][document["recommended"]]["recommended"] is True


@pytest.mark.parametrize(
    "words",
    [["--workers", "15", "--byzantine", "3", "--audit"], [*LARGE, "--parameters", "99999999999", "--gradient-time", "1e6"]],
)
def test_everything_fits_eighty_columns(words, capsys):
    assert run("plan", *words) == 0
    captured = capsys.readouterr()
    assert max(map(len, captured.out.splitlines())) <= 80
    assert captured.err == ""


def test_the_help_fits_eighty_columns_and_says_the_principle(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        run("plan", "--help")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "what is recommended is the fastest placement" in out


def test_the_defaults_of_the_command_are_those_of_the_library():
    parser = argparse.ArgumentParser(prog="byzshield")
    plan.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["plan", "--workers", "5", "--byzantine", "1"])
    assert (arguments.accept, arguments.audit, arguments.sort) == (ACCEPTED, None, "epsilon")
    assert plan.ORDERS == ORDERS
    assert Cluster().num_parameters == plan.RESNET18_PARAMETERS


def test_audited_rows_stand_apart(capsys):
    assert run("plan", "--workers", "14", "--byzantine", "3", "--audit", "0.1") == 0
    votes, audits = capsys.readouterr().out.split("with audits")
    assert [row.split()[2] for row in audits.splitlines()[1:] if row.lstrip(" *").startswith("mols")] == ["2"]
    assert "mols" in votes


def test_the_run_file_is_written_into_a_folder_that_is_made_and_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("plan", "--workers", "9", "--byzantine", "2", "--write", "new/plan.toml") == 0
    assert "byzshield simulate new/plan.toml" in capsys.readouterr().out
    tables = tomllib.loads(Path("new/plan.toml").read_text(encoding="utf-8"))
    tables["run"]["steps"] = 3
    assert simulate(tables, progress=False).summary["steps"] == 3


def test_the_run_file_leaves_the_document_alone(tmp_path, capsys):
    assert run("plan", "--workers", "9", "--byzantine", "2", "--json", "--write", str(tmp_path / "plan.toml")) == 0
    json.loads(capsys.readouterr().out)
    assert (tmp_path / "plan.toml").is_file()


def test_no_run_file_is_written_where_nothing_is_recommended_or_no_file_can_be(tmp_path):
    with pytest.raises(ParameterError, match="no placement is recommended"):
        run("plan", "--workers", "10", "--byzantine", "6", "--write", str(tmp_path / "plan.toml"))
    assert not list(tmp_path.glob("plan*"))
    with pytest.raises(ParameterError, match="the run file"):
        run("plan", "--workers", "9", "--byzantine", "2", "--write", str(tmp_path))


def test_placements_that_are_too_large_are_counted_below_the_table(capsys, monkeypatch):
    monkeypatch.setattr(assignment, "MOST_ANALYZED", 1_000_000)
    assert run("plan", *LARGE) == 0
    assert "left out, too large to be analyzed: 3 placements of 361 files or more" in capsys.readouterr().out
