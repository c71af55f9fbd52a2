"""Reports on runs, in every format."""

import csv
import io
import re
from pathlib import Path

import pytest
from synthetic_runs import make_run, record_workers

from byzshield.errors import ParameterError
from byzshield.plots import Group, group_runs, read_runs
from byzshield.plots.comparisons import MOST_LINES
from byzshield.plots.directories import read_run
from byzshield.plots.document import Table
from byzshield.plots.markup import as_latex, markdown_table
from byzshield.plots.report import sections_of, write_figures, write_report
from byzshield.plots.runs import Run


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    path = make_run(tmp_path / "runs" / "<first>")
    record_workers(path, scheme="mols", num_byzantine=3)
    return group_runs(read_runs([tmp_path / "runs"])[0])


def page_of(groups: list[Group], path: Path) -> str:
    write_report(groups, path, "html")
    return path.read_text(encoding="utf-8")


def test_the_page_has_every_section_needs_no_other_file_and_makes_its_folder(tmp_path: Path, groups: list[Group]) -> None:
    page = page_of(groups, tmp_path / "new" / "report.html")
    assert re.findall(r"<h2 [^>]*>([^<]*)</h2>", page) == [
        "Summary", "Runs", "Curves", "Votes", "Workers", "Time and bytes", "Configuration", "Environment"
    ]  # fmt: skip
    assert "&lt;first&gt;" in page
    assert "<first>" not in page
    assert "3 of 25 (12%)" in page
    assert page.count("<figure>") == page.count("role='img'") == 7
    assert "<meta name='viewport' content='width=device-width,initial-scale=1'>" in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=['\"](?!#|data:)", page.replace("xlink:", ""))
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["report.html"]


def test_the_same_runs_make_the_same_page(tmp_path: Path, groups: list[Group]) -> None:
    assert page_of(groups, tmp_path / "a.html") == page_of(groups, tmp_path / "b.html")


@pytest.mark.parametrize("place", ["folder", "file/report.html"])
def test_a_page_that_cannot_be_written_is_one_sentence(place: str, tmp_path: Path, groups: list[Group]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(ParameterError, match=r"the report .* cannot be written"):
        write_report(groups, tmp_path / place, "csv")


def test_a_hundred_runs_of_every_status_are_readable(tmp_path: Path) -> None:
    statuses = ("complete", "complete", "failed", "stopped", None)
    for index in range(100):
        status, batch = statuses[index % 5], 75 * (1 + index // 2)
        lines = 0 if index == 4 else 10
        make_run(
            tmp_path / f"run-{index:03}", status=status, reason="out of memory" if status == "failed" else "", lines=lines,
            run={"seed": index % 2}, aggregation={"rule": "bulyan", "num_corrupted": batch},
        )  # fmt: skip
    runs, problems = read_runs([tmp_path])
    assert (len(runs), problems) == (100, [])
    groups = group_runs(runs)
    assert len(groups) == 50
    sections = {section.title: section for section in sections_of(groups)}
    (unfinished,) = sections["Not complete"].parts
    assert isinstance(unfinished, Table)
    assert sum(row[4] == "out of memory" for row in unfinished.rows) == 20
    assert sum(row[2] == "unfinished" for row in unfinished.rows) == 20
    page = page_of(groups, tmp_path / "report.html")
    assert page.count("<figure>") == 4 * -(-50 // MOST_LINES) + 2
    assert all(f": num_corrupted = {75 * (1 + number)}" in page for number in range(50))


def test_runs_without_any_step_make_a_page_without_figures(tmp_path: Path) -> None:
    make_run(tmp_path / "a", status=None, lines=0)
    groups = group_runs(read_runs([tmp_path / "a"])[0])
    page = page_of(groups, tmp_path / "report.html")
    assert "<figure>" not in page
    assert "It is unfinished, after step 0 of 100" in page
    with pytest.raises(ParameterError, match="nothing to draw"):
        write_report(groups, tmp_path / "report.png", "png")


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_figures_are_one_file_or_one_each_and_the_same_each_time(
    kind: str, begins: bytes, tmp_path: Path, groups: list[Group]
) -> None:
    write_report(groups, tmp_path / f"all.{kind}", kind)
    assert (tmp_path / f"all.{kind}").read_bytes().startswith(begins)
    told: list[tuple[int, int]] = []
    paths = write_figures(groups, tmp_path / "figures", kind, drawing=lambda done, of: told.append((done, of)))
    assert {path.stem for path in paths} >= {
        "curves-test-accuracy-step",
        "curves-loss-seconds",
        "agreement-1",
        "placement-1",
        "time",
    }
    assert told[-1] == (7, 7)
    before = [path.read_bytes() for path in paths]
    write_figures(groups, tmp_path / "figures", kind)
    assert [path.read_bytes() for path in paths] == before


def test_bars_have_their_whole_names(tmp_path: Path) -> None:
    labels = [f"no redundancy at all, num_byzantine = {q}" for q in (2, 4)]
    lines = [{"step": 1, "loss": 1.0, "breakdown": {"gradient": 1.0}}]
    groups = [Group(words=(label,), runs=(Run(name=label, settings={}, lines=lines),)) for label in labels]
    write_figures(groups, tmp_path, "svg")
    svg = (tmp_path / "time.svg").read_text()
    assert all(f"<!-- num_byzantine = {q} -->" in svg for q in (2, 4))


def test_markdown_has_the_tables_and_what_the_figures_show(tmp_path: Path, groups: list[Group]) -> None:
    write_report(groups, tmp_path / "report.md", "md")
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# byzshield report: \\<first\\>\n\n## Summary\n")
    assert "|   3 of 25 (12%) |" in text
    assert "*test accuracy against steps*: test accuracy; alie by 3 of 15 workers, mnist5k, 100 steps: \\<first\\> 50.0%" in text


def test_csv_has_a_row_of_numbers_for_each_group(tmp_path: Path) -> None:
    for seed in (1, 2):
        make_run(tmp_path / f"a-{seed}", accuracy=0.3 + 0.2 * seed, run={"seed": seed})
    write_report(group_runs(read_runs([tmp_path])[0]), tmp_path / "report.csv", "csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text()))
    assert (row["label"], row["scheme"], row["seeds"], row["final_accuracy_mean"]) == ("a", "mols", "[1, 2]", "0.6")


def test_csv_has_a_column_for_each_setting_in_which_runs_differ(tmp_path: Path) -> None:
    for z in (0.5, 1.5):
        make_run(tmp_path / f"z-{z}", attack={"num_byzantine": 3, "z": z})
    write_report(group_runs(read_runs([tmp_path])[0]), tmp_path / "report.csv", "csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text())))
    assert [row["attack.z"] for row in rows] == ["0.5", "1.5"]
    assert "optimizer.lr" not in rows[0]


def test_tables_copy_into_markdown_and_latex() -> None:
    table = Table(name="t", rows=[("run", "share"), ("a|b_c", "5% ± 1"), ("x", "-")])
    assert markdown_table(table).splitlines() == [
        "| run     |  share |", "| ------- | -----: |", "| a\\|b\\_c | 5% ± 1 |", "| x       |      - |"
    ]  # fmt: skip
    assert r"\begin{tabular}{lr}" in as_latex(table)
    assert r"a|b\_c & 5\% $\pm$ 1 \\" in as_latex(table)


def test_what_only_some_runs_have_leaves_no_trace_in_others(tmp_path: Path) -> None:
    plain = page_of(group_runs([read_run(make_run(tmp_path / "plain"))]), tmp_path / "plain.html")
    assert not re.search(
        "audit|arbitrat|expel|rolled|fetching|undefined|None", plain.partition("</style>")[2].partition("Configuration</h2>")[0]
    )
    run = read_run(make_run(tmp_path / "audited"))
    parts = {"gradient": 0.04, "digest": 0.01, "wait": 0.02, "fetch": 0.01, "decode": 0.01, "aggregate": 0.005, "update": 0.005}
    lines = [{**line, "audited": 2, "arbitrated": 1, "breakdown": parts} for line in run.lines]
    expelled = {"3": {"step": 2, "file": 7, "evidence": "audit"}}
    facts = {**run.facts, "expelled": expelled, "rolled_back_steps": 1, "blamed": {"3": {"malformed": 1}}}
    audited = Run(name="audited", settings=run.settings, facts=facts, lines=lines, config=run.config)
    page = page_of(group_runs([audited]), tmp_path / "audited.html")
    rows = {section.title: section for section in sections_of(group_runs([audited]))}["Votes"].parts[0]
    assert isinstance(rows, Table)
    cells = dict(zip(*rows.rows, strict=True))
    assert (cells["audited"], cells["arbitrated"], cells["steps rolled back"], cells["expelled"]) == ("40", "20", "1", "1")
    assert "step 2, by audit of file 7" in page
    assert "fetching payloads" in page


def test_two_runs_of_one_placement_are_drawn_once_and_a_run_that_went_on_elsewhere_names_both_hosts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        record_workers(make_run(tmp_path / name, run={"steps": 20 if name == "a" else 40}), scheme="mols", num_byzantine=3)
    with open(tmp_path / "b" / "jobs.jsonl", "a") as file:
        file.write('{"step": 10, "host": "elsewhere", "command": "byzshield simulate mols.toml --resume"}\n')
    page = page_of(group_runs(read_runs([tmp_path])[0]), tmp_path / "report.html")
    assert page.count("Byzantine workers capture") == 1
    assert "Placement and Byzantine workers are those of a." in page
    assert "elsewhere" in page
