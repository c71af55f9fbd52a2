"""What runs have recorded of workers, votes and jobs, and what a report makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import make_run, record_workers

from byzshield.plots.directories import read_run
from byzshield.plots.document import Code, Table
from byzshield.plots.placement_figure import placement_figure
from byzshield.plots.records import read_agreement, read_jobs, read_placement
from byzshield.plots.runs import Run
from byzshield.plots.settings import command_of, environment
from byzshield.plots.votes import agreement_figure


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = make_run(tmp_path / "a")
    record_workers(path, scheme="mols", num_byzantine=3)
    return read_run(path)


def test_a_run_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a"))
    assert read_placement(run) is read_agreement(run, 15) is None
    assert read_jobs(run) == read_jobs(Run(name="pending", settings={})) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("placement.json", {"files_of": [[0, 99]]}),
        ("placement.json", {"files_of": "many"}),
        ("placement.json", {"byzantine": [15]}),
        ("placement.json", {"corrupted_files": [-1]}),
        ("placement.json", {"num_files": 10**12}),
        ("agreement.json", {"pairs": [[1, 0, 5, 0]]}),
        ("agreement.json", {"pairs": [[0, 15, 5, 0]]}),
        ("agreement.json", {"pairs": [[0, 1, 5, 6]]}),
        ("agreement.json", {"pairs": 7}),
    ],
)
def test_what_is_damaged_is_left_out(run: Run, name: str, change: dict[str, Any]) -> None:
    assert run.path is not None
    document = json.loads((run.path / name).read_text())
    (run.path / name).write_text(json.dumps({**document, **change}))
    assert (read_placement(run) if name == "placement.json" else read_agreement(run, 15)) is None
    (run.path / name).write_text("{")
    assert (read_placement(run) if name == "placement.json" else read_agreement(run, 15)) is None


def test_the_picture_of_a_placement_marks_colluders_and_what_they_capture(run: Run) -> None:
    placement = read_placement(run)
    assert placement is not None
    figure = placement_figure(placement, "p")
    assert f"Byzantine workers capture {len(placement.corrupted)} of 25 files" in figure.title
    assert "Byzantine workers: 0, 1, 2" in figure.text
    from matplotlib.figure import Figure as Canvas

    axes = Canvas().subplots()
    figure.draw(axes)
    marked = [label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"]
    assert marked == ["0", "1", "2"]


def test_the_matrix_of_votes_has_colluders_first_and_says_who_agrees_with_whom(run: Run) -> None:
    placement, agreement = read_placement(run), read_agreement(run, 15)
    assert placement is not None
    assert agreement is not None
    figure = agreement_figure(agreement, placement, "v")
    assert "two honest workers 100%" in figure.text
    assert "an honest and a Byzantine one 0%" in figure.text
    assert [key.label for key in figure.keys] == ["always alike", "never"]


def test_versions_hosts_and_the_command_that_repeats_a_run_are_told(run: Run, tmp_path: Path) -> None:
    table, again, _ = environment([run])
    assert isinstance(table, Table)
    assert ("host", "desk") in table.rows
    assert ("commit", "0123456789" * 4) in table.rows
    assert isinstance(again, Code)
    assert again.text == f"byzshield simulate {tmp_path / 'a' / 'config.toml'}"


@pytest.mark.parametrize(
    ("command", "repeated"),
    [
        ("byzshield train x.toml", "mpirun -n 16 python -m mpi4py -m byzshield train PATH"),
        ("byzshield simulate x.toml --set run.seed=2", "byzshield simulate PATH"),
        ("python mine.py", "python mine.py"),
    ],
)
def test_a_job_a_simulation_and_a_program_are_repeated_as_they_were_made(run: Run, command: str, repeated: str) -> None:
    assert run.path is not None
    (run.path / "jobs.jsonl").write_text(json.dumps({"command": command, "ranks": 16}) + "\n")
    assert command_of(run) == repeated.replace("PATH", str(run.path / "config.toml"))
