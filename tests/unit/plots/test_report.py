"""The HTML page about finished runs."""

import pytest

from byzshield.errors import ParameterError
from byzshield.plots import FinishedRun, write_report

RUN = FinishedRun(
    name="<first>",
    summary={
        "scheme": "mols",
        "attack": "alie",
        "aggregator": "median",
        "num_byzantine": 3,
        "num_workers": 15,
        "num_files": 25,
        "corrupted_files_max": 3,
        "test_accuracy": 0.5,
        "step_seconds_median": 0.1,
        "server_bytes_received_per_step": 2_000_000,
    },
    accuracy=[(1, 0.25), (2, 0.5)],
)


def test_the_page_has_the_table_and_the_figure_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "report.html"
    write_report([RUN], path)
    page = path.read_text(encoding="utf-8")
    assert "<td>&lt;first&gt;</td><td>mols</td>" in page
    assert "<td>3 of 25 (12%)</td>" in page
    assert page.count("<svg") == page.count("</svg>") == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("place", ["folder", "file/report.html"])
def test_a_page_that_cannot_be_written_is_one_sentence(place, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way of a folder")
    with pytest.raises(ParameterError, match="the report cannot be written"):
        write_report([RUN], tmp_path / place)
