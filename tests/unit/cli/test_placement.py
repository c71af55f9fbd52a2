"""`byzshield placement`: what it prints and draws."""

import argparse
import json
import re

import pytest

from byzshield.cli import placement
from byzshield.errors import ParameterError
from byzshield.placement import PLACEMENTS

MOLS = ["placement", "--scheme", "mols", "--load", "5", "--replication", "3"]


def run(*words):
    parser = argparse.ArgumentParser(prog="byzshield")
    placement.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(words)
    return arguments.run(arguments)


def test_the_picture_is_written_beside_the_document_and_says_in_its_title_whom_it_marks(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(pytest.importorskip("matplotlib").rcParams, "svg.fonttype", "none")
    path = tmp_path / "worst.svg"
    assert run(*MOLS, "--byzantine", "3", "--plot", str(path), "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) >= {"scheme", "files_of"}
    lines = re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))
    assert "Byzantine workers: 0, 5, 11;" in " ".join(lines)


def test_byzantine_workers_without_a_picture_are_refused():
    with pytest.raises(ParameterError, match="needs --plot"):
        run(*MOLS, "--byzantine", "3")


@pytest.mark.parametrize("words", [["--byzantine", "16", "--plot", "p.png"], ["--plot", "p.txt"], ["--plot", "none/p.png"]])
def test_a_picture_that_cannot_be_is_refused_before_anything_is_printed(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError):
        run(*MOLS, *words)
    assert capsys.readouterr().out == ""


def test_every_scheme_is_named_in_the_help(capsys):
    with pytest.raises(SystemExit):
        run("placement", "--help")
    assert set(PLACEMENTS.names()) <= set(capsys.readouterr().out.replace(",", " ").replace(";", " ").split())
