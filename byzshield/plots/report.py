"""One HTML page about finished runs: a table and the curves of test accuracy."""

import html
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byzshield.errors import ConfigError, ParameterError
from byzshield.plots.blame import blame_section
from byzshield.storage import write_text

__all__ = ["FinishedRun", "read_run", "table_rows", "write_report"]

COLUMNS = ("run", "scheme", "attack", "rule", "Byzantine", "corrupted files", "test accuracy", "s a step", "MB received a step")


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a report needs of a run.

    Args:
        name: its directory's name.
        summary: the contents of summary.json.
        accuracy: (step, test accuracy) of each evaluation.
    """

    name: str
    summary: dict[str, Any]
    accuracy: list[tuple[int, float]]


def read_run(path: Path) -> FinishedRun:
    """Reads a run's directory.

    Raises:
        ConfigError: it has no readable summary.json or metrics.jsonl.
    """
    try:
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not the directory of a finished run: {error}") from error
    accuracy = [(line["step"], line["test_accuracy"]) for line in lines if "test_accuracy" in line]
    return FinishedRun(name=path.name, summary=summary, accuracy=accuracy)


def table_rows(runs: list[FinishedRun]) -> list[tuple[str, ...]]:
    """The table of a report: a row of COLUMNS, then one of text for each run."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for run in runs:
        summary = run.summary
        corrupted, num_files = summary["corrupted_files_max"], summary["num_files"]
        rows.append(
            (
                run.name,
                summary["scheme"],
                summary["attack"],
                summary["aggregator"],
                f"{summary['num_byzantine']} of {summary['num_workers']}",
                f"{corrupted} of {num_files} ({corrupted / num_files:.0%})",
                "none yet" if summary["test_accuracy"] is None else f"{summary['test_accuracy']:.1%}",
                f"{summary['step_seconds_median']:.2f}",
                f"{summary['server_bytes_received_per_step'] / 1e6:.1f}",
            )
        )
    return rows


def write_report(runs: list[FinishedRun], path: Path) -> None:
    """Writes the page, which needs no other file.

    Raises:
        ParameterError: it cannot be written there.
    """
    head, *body = table_rows(runs)
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in body)
    page = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>byzshield report</title>\n"
        "<style>body{font-family:sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left}svg{max-width:100%;height:auto}</style></head><body>\n"
        "<h1>byzshield report</h1>\n<table><tr>"
        + "".join(f"<th>{html.escape(name)}</th>" for name in head)
        + f"</tr>\n{cells}</table>\n{_accuracy_figure(runs)}\n"
        "<p>A file is corrupted when a majority of its copies is in Byzantine hands; shown is the most in any step.</p>\n"
        + "".join(blame_section(run.name, run.summary) for run in runs)
        + "</body></html>\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise ParameterError(f"the report cannot be written to {path}: {error}") from error


def _accuracy_figure(runs: list[FinishedRun]) -> str:
    """Test accuracy against the step, as inline SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        steps, accuracies = zip(*run.accuracy, strict=True) if run.accuracy else ((), ())
        axes.plot(steps, accuracies, marker="o", markersize=3, label=f"{run.name} ({run.summary['scheme']})")
    axes.set_xlabel("step")
    axes.set_ylabel("test accuracy")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend()
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]
