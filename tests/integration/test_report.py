"""`byzshield report` as it is typed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_runs import make_run

from byzshield.cli.main import main
from byzshield.runtime.directory_lock import DirectoryLock


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Five runs: complete, failed, and three that have not said how they ended, of which one goes on and one was killed here."""
    for number in range(2):
        make_run(tmp_path / "runs" / f"mols-{number}", run={"seed": number})
    make_run(tmp_path / "runs" / "broken", status="failed", reason="the model diverged", lines=7, placement={"scheme": "frc"})
    for name in ("elsewhere", "going", "killed"):
        make_run(tmp_path / "runs" / name, status=None, lines=9, aggregation={"rule": "krum"}, run={"steps": 100 + len(name)})
    DirectoryLock(tmp_path / "runs" / "killed").release()
    return tmp_path / "runs"


def test_the_table_names_seed_status_and_reason_and_what_cannot_be_read_is_told_on_stderr(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = DirectoryLock(runs / "going")
    (runs / "elsewhere" / "summary.json").write_text("{")
    try:
        assert main(["report", str(runs)]) == 0
    finally:
        lock.release()
    captured = capsys.readouterr()
    head, *rows, last = captured.out.splitlines()
    assert head.split()[:6] == ["run", "scheme", "attack", "rule", "seed", "Byzantine"]
    found = [dict(zip(re.split("  +", head), re.split("  +", row), strict=True)) for row in rows]
    assert {row["run"]: row["status"] for row in found} == {
        "broken": "failed", "going": "running", "killed": "killed", "mols": "complete"
    }  # fmt: skip
    assert rows[0].endswith("the model diverged")
    assert rows[-1].split()[:5] == ["mols", "mols", "alie", "median", "0,"]
    assert last == f"report: {runs / 'report.html'}"
    assert captured.err.startswith("byzshield: left out: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(("width", "blocks"), [(130, False), (80, False), (30, True)])
def test_the_table_fits_the_terminal(
    width: int, blocks: bool, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["report", str(runs), "--output", str(runs / "table.csv")]) == 0
    *table, _ = capsys.readouterr().out.splitlines()
    assert max(map(len, table)) <= width
    assert any("diverged" in line for line in table)
    assert any(line.startswith("run: ") for line in table) is blocks


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.html", b"<!doctype"), ("a.md", b"# byzshield"), ("a.tex", b"\\begin"), ("a.csv", b"label,"), ("a.PDF", b"%PDF")],
)
def test_the_suffix_says_what_is_written(name: str, begins: bytes, runs: Path) -> None:
    assert main(["report", str(runs / "mols-0"), "--output", str(runs / name)]) == 0
    assert (runs / name).read_bytes().startswith(begins)


def test_a_folder_gets_each_figure_and_a_format_alone_a_file_of_its_suffix(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(runs / "mols-0"), "--format", "svg", "--output", str(runs / "figures")]) == 0
    assert capsys.readouterr().out.endswith(f"report: 5 figures in {runs / 'figures'}\n")
    assert len(list((runs / "figures").glob("*.svg"))) == 5
    assert main(["report", str(runs / "mols-0"), "--format", "md"]) == 0
    assert (runs / "mols-0" / "report.md").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "report.doc"], "--output must end in one of .html,"),
        (["--output", "report.pdf", "--format", "html"], "--format html and --output report.pdf contradict each other"),
        (["--output", "."], "--output must end in one of .html,"),
    ],
)
def test_what_it_cannot_write_it_refuses_before_anything_is_drawn(
    words: list[str],
    message: str,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(runs), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"byzshield: {message}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [runs]


def test_json_is_one_document_and_writes_only_what_it_is_told_to(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(runs), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in document["runs"]] == ["broken", "elsewhere", "going", "killed", "mols-0", "mols-1"]
    assert document["groups"][-1]["final_accuracy"]["mean"] == 0.5
    assert document["groups"][0]["statuses"] == {"failed": 1}
    assert document["written"] == []
    assert not (runs / "report.html").exists()
    assert main(["report", str(runs), "--json", "--output", str(runs / "a.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == [str(runs / "a.csv")]


def test_a_reader_who_leaves_does_not_lose_the_page(runs: Path) -> None:
    command = [sys.executable, "-m", "byzshield", "report", str(runs / "mols-0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert (runs / "mols-0" / "report.html").read_text().endswith("</html>\n")
