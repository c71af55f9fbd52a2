"""`byzshield plan`: what it prints."""

import argparse
import json

import pytest

from byzshield.cli import plan


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
    assert "smallest worst case" in out


def test_the_plan_prints_one_json_document(capsys):
    assert run("plan", "--workers", "9", "--byzantine", "2", "--bandwidth", "1", "--gradient-time", "3", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bandwidth"] == 1e9
    assert document["rows"][document["recommended"]]["recommended"] is True
