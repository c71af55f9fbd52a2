"""The HTML page about runs."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_runs import make_run

from byzshield.errors import ParameterError
from byzshield.plots import Run, group_runs, read_runs, table_rows, write_report
from byzshield.plots.curves import MOST_LINES, panels


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    make_run(tmp_path / "runs" / "<first>")
    return read_runs([tmp_path / "runs"])[0]


def sweep_run(system: str, q: int, seed: int) -> Run:
    lines = [{"step": step, "test_accuracy": step / 10} for step in (1, 2)]
    settings = {"system": system, "attack.num_byzantine": q, "run.seed": seed}
    return Run(name=f"{system}{q}{seed}", sweep="s", settings=settings, facts={"seed": seed, "test_accuracy": 0.2}, lines=lines)


def test_the_page_has_the_table_and_the_figure_and_makes_its_folder(tmp_path: Path, runs: list[Run]) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(runs, path)
    page = path.read_text(encoding="utf-8")
    assert "<td>&lt;first&gt;</td><td>mols</td>" in page
    assert "<td>3 of 25 (12%)</td>" in page
    assert page.count("<svg") == page.count("</svg>") == 1
    assert "<script" not in page
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("place", ["folder", "file/report.html"])
def test_a_page_that_cannot_be_written_is_one_sentence(place: str, tmp_path: Path, runs: list[Run]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(ParameterError, match=r"the report .* cannot be written"):
        write_report(runs, tmp_path / place)


def test_a_hundred_runs_of_every_status_are_readable(tmp_path: Path) -> None:
    statuses = ("complete", "complete", "failed", "stopped", None)
    for index in range(100):
        status, batch = statuses[index % 5], 75 * (1 + index // 2)
        lines = 0 if index == 4 else 10
        make_run(
            tmp_path / f"run-{index:03}", status=status, reason="out of memory" if status == "failed" else "", lines=lines,
            run={"seed": index % 2}, data={"batch_size": batch},
        )  # fmt: skip
    runs, problems = read_runs([tmp_path])
    assert (len(runs), problems) == (100, [])
    groups = group_runs(runs)
    assert len(groups) == 50
    write_report(runs, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == page.count("<figure>") == -(-50 // MOST_LINES)
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert "legend" not in svg  # it stands below, where it covers nothing
    assert page.count("<li>") == 50
    assert all(f"batch_size = {75 * (1 + number)}</li>" in page for number in range(50))
    assert page.count("<td>out of memory</td>") == 20
    assert page.count("<td>unfinished</td>") >= 20


def test_a_panel_compares_the_cells_of_a_sweep_that_differ_in_the_first_axis_alone() -> None:
    runs = [sweep_run(system, q, seed) for system in ("A", "B") for q in (3, 5) for seed in (1, 2)]
    drawn = panels(group_runs(runs))
    assert [(panel.title, [line.label for line in panel.lines]) for panel in drawn] == [
        ("num_byzantine = 3", ["A", "B"]),
        ("num_byzantine = 5", ["A", "B"]),
    ]
    assert drawn[0].lines[1].color == drawn[1].lines[1].color != drawn[0].lines[0].color
    assert len(table_rows(group_runs(runs))) == 1 + 4


def test_a_sweep_of_one_axis_is_one_panel() -> None:
    (panel,) = panels(group_runs([sweep_run("A", q, 1) for q in (3, 5, 7)]))
    assert [line.label for line in panel.lines] == ["num_byzantine = 3", "num_byzantine = 5", "num_byzantine = 7"]


def test_cells_bear_the_name_of_their_sweep_only_beside_those_of_another(runs: list[Run]) -> None:
    cells = [sweep_run(system, 3, 1) for system in ("A", "B")]
    assert [group.label for group in group_runs([*runs, *cells])] == ["<first>", "A", "B"]
    labels = [group.label for group in group_runs([*runs, *cells, *(replace(cell, sweep="t") for cell in cells)])]
    assert labels == ["<first>", "s, A", "s, B", "t, A", "t, B"]


def test_runs_without_any_evaluation_make_a_page_without_figures(tmp_path: Path) -> None:
    make_run(tmp_path / "a", status=None, lines=2)
    write_report(read_runs([tmp_path / "a"])[0], tmp_path / "report.html")
    assert "<svg" not in (tmp_path / "report.html").read_text(encoding="utf-8")
