"""The picture of a placement: what it says, and that it is written."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from byzshield.distortion import worst_case
from byzshield.errors import ParameterError
from byzshield.placement import baseline, mols
from byzshield.plots import cells, placement_figure
from byzshield.plots.records import Placement
from byzshield.plots.theme import BAD, PAPER, SERIES, WARN

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

MOLS = mols(load=5, replication=3)
WORST = worst_case(MOLS, 3).witness
RECORDED = Placement(
    scheme="mols",
    num_files=25,
    files_of=tuple(map(tuple, MOLS.files_of.tolist())),
    byzantine=WORST,
    corrupted=(0, 8, 17),
    changes=False,
)


def drawn(placement, style="matrix"):
    axes = Figure().add_subplot()
    placement_figure.placement_figure(placement, "p", style=style).draw(axes)
    return axes


def squares(axes):
    """How many shapes of each color there are."""
    return [
        (to_hex(patch.get_facecolor()), len(patch.get_path().vertices) // 5)
        for patch in axes.patches
        if patch.get_path().codes is not None and len(patch.get_path().vertices) % 5 == 0 and patch.get_alpha() is None
    ]


def bold(labels):
    return [int(label.get_text()) for label in labels if label.get_fontweight() == "bold"]


def test_the_matrix_has_a_square_for_each_copy_and_marks_colluders_and_what_they_corrupt():
    axes = drawn(RECORDED)
    assert squares(axes) == [(SERIES[0], 57), (WARN, 3), (BAD, 15), (PAPER, 15), (PAPER, 15)]
    assert bold(axes.get_yticklabels()) == [0, 5, 11]
    assert bold(axes.get_xticklabels()) == [0, 8, 17]


def test_without_byzantine_workers_nothing_is_marked():
    axes = drawn(replace(RECORDED, byzantine=(), corrupted=()))
    assert bold(axes.get_xticklabels()) == bold(axes.get_yticklabels()) == []
    assert squares(axes) == [(SERIES[0], 75)]


def test_a_large_placement_is_pixels_with_as_many_numbers_as_have_room(monkeypatch):
    monkeypatch.setattr(cells, "MOST_SHAPES", 10)
    monkeypatch.setattr(cells, "DIGIT", 0.4)
    axes = drawn(RECORDED)
    assert [int((image.get_array()[..., 3] > 0).sum()) for image in axes.images] == [57, 15]
    shown = [int(label.get_text()) for label in axes.get_xticklabels()]
    assert {0, 8, 17} <= set(shown)
    assert min(later - earlier for earlier, later in pairwise(shown)) >= 4


def test_the_graph_has_a_line_for_each_copy():
    axes = drawn(RECORDED, "graph")
    lines = [(to_hex(lines.get_color()[0]), float(lines.get_linewidths()[0])) for lines in axes.collections]
    assert lines == [(SERIES[0], 0.5), (WARN, 0.5), (BAD, 1.4)]
    assert [len(lines.get_paths()) for lines in axes.collections] == [57, 3, 15]
    assert {text.get_text() for text in axes.texts if text.get_fontweight() == "bold"} == {"0", "5", "11", "8", "17"}


def test_the_picture_in_words_names_the_workers_and_the_files():
    def said(placement):
        return placement_figure.placement_figure(placement, "p").text

    assert said(RECORDED).endswith("; Byzantine workers: 0, 5, 11; files that they corrupt: 0, 8, 17")
    assert said(replace(RECORDED, byzantine=(0,), corrupted=())).endswith("; files that they corrupt: none")
    assert said(replace(RECORDED, byzantine=(), corrupted=())).endswith("3 workers a file; no worker is Byzantine")
    assert said(replace(RECORDED, corrupted=tuple(range(25)))).count("...") == 1


@pytest.mark.parametrize("style", placement_figure.STYLES)
def test_a_file_has_the_picture_that_a_report_has(style, monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(placement_figure, "one_file", lambda figure, kind: written.append(figure) or b"")
    placement_figure.write_placement(MOLS, str(tmp_path / "p.svg"), byzantine=WORST, style=style)
    reported = placement_figure.placement_figure(RECORDED, "placement", style=style)
    (figure,) = written
    assert (figure.draw.func, figure.draw.args) == (reported.draw.func, reported.draw.args)
    assert (figure.keys, figure.about, figure.title) == (reported.keys, reported.title, reported.text)


@pytest.mark.parametrize("style", placement_figure.STYLES)
@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_it_is_written_in_the_format_of_the_suffix(style, suffix, start, tmp_path):
    path = tmp_path / f"placement.{suffix}"
    placement_figure.write_placement(MOLS, str(path), byzantine=WORST, style=style)
    assert path.read_bytes().startswith(start)


def test_what_is_too_large_to_be_drawn_is_refused(tmp_path, monkeypatch):
    path = str(tmp_path / "placement.png")
    monkeypatch.setattr(placement_figure, "MOST_LINES", 10)
    with pytest.raises(ParameterError, match="draw a matrix"):
        placement_figure.write_placement(MOLS, path, style="graph")
    monkeypatch.setattr(placement_figure, "MOST_CELLS", 10)
    with pytest.raises(ParameterError, match=re.escape("15 workers and 25 files")):
        placement_figure.write_placement(MOLS, path)


def test_sizes_grow_with_the_placement_and_stay_printable(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(placement_figure, "one_file", lambda figure, kind: written.append(figure.size) or b"")
    for assignment in (baseline(3), MOLS, mols(load=11, replication=5)):
        placement_figure.write_placement(assignment, str(tmp_path / "p.svg"))
    assert written == sorted(written)
    assert len(set(written)) == 3
    assert max(written) <= (12.0, 12.0)
