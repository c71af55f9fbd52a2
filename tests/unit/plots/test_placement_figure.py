"""The picture of a placement: what it says, and that it is written."""

import re
from itertools import pairwise

import pytest

from byzshield.distortion import worst_case
from byzshield.errors import ParameterError
from byzshield.placement import baseline, mols
from byzshield.plots import placement_figure
from byzshield.plots.placement_figure import draw_graph, draw_matrix, in_words, size_of, write_placement

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

MOLS = mols(load=5, replication=3)
WORST = worst_case(MOLS, 3).witness


@pytest.fixture
def axes():
    return Figure().add_subplot()


def bold(labels):
    return [int(label.get_text()) for label in labels if label.get_fontweight() == "bold"]


def test_the_matrix_has_a_square_for_each_copy_and_marks_the_worst_set_and_what_it_corrupts(axes):
    draw_matrix(axes, MOLS, WORST)
    honest, bad = axes.collections[-2:]
    assert len(honest.get_paths()) == 12 * 5
    assert len(bad.get_paths()) == 3 * 5
    assert to_hex(bad.get_facecolor()[0]) == placement_figure.BAD
    assert bold(axes.get_yticklabels()) == [0, 5, 11]
    assert bold(axes.get_xticklabels()) == [0, 8, 17]
    (crosses,) = axes.lines
    assert len(crosses.get_xdata()) == 15


def test_without_byzantine_workers_nothing_is_marked(axes):
    draw_matrix(axes, MOLS)
    assert bold(axes.get_xticklabels()) == bold(axes.get_yticklabels()) == []
    assert not axes.lines


def test_a_large_placement_is_one_image_with_as_many_numbers_as_have_room(axes, monkeypatch):
    monkeypatch.setattr(placement_figure, "MOST_VECTORS", 10)
    monkeypatch.setattr(placement_figure, "MOST_LABELS", 5)
    draw_matrix(axes, MOLS, WORST)
    (image,) = axes.images
    assert (image.get_array() == 2).sum() == 15
    assert (image.get_array() == 1).sum() == 60
    shown = [int(label.get_text()) for label in axes.get_xticklabels()]
    assert {0, 8, 17} <= set(shown)
    assert min(later - earlier for earlier, later in pairwise(shown)) >= 5


def test_the_graph_has_a_line_for_each_copy(axes):
    draw_graph(axes, MOLS, WORST)
    thick = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
    assert len(thick) == 15
    assert len([line for line in axes.lines if len(line.get_xdata()) == 2]) == 75
    assert {text.get_text() for text in axes.texts if text.get_fontweight() == "bold"} == {"0", "5", "11", "8", "17"}


def test_the_picture_in_words_names_the_workers_and_the_files():
    assert in_words(MOLS, WORST).endswith("; Byzantine workers: 0, 5, 11; they corrupt 3 of 25 files: 0, 8, 17")
    assert in_words(MOLS, (0,)).endswith("; Byzantine workers: 0; they corrupt 0 of 25 files")
    assert "Byzantine" not in in_words(MOLS)
    assert in_words(baseline(20), tuple(range(20))).count("...") == 2


@pytest.mark.parametrize("style", placement_figure.STYLES)
@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_it_is_written_in_the_format_of_the_suffix(style, suffix, start, tmp_path):
    path = tmp_path / f"placement.{suffix}"
    write_placement(MOLS, str(path), byzantine=WORST, style=style)
    assert path.read_bytes().startswith(start)


def test_what_is_too_large_to_be_drawn_is_refused(tmp_path, monkeypatch):
    path = str(tmp_path / "placement.png")
    monkeypatch.setattr(placement_figure, "MOST_VECTORS", 10)
    with pytest.raises(ParameterError, match="draw a matrix"):
        write_placement(MOLS, path, style="graph")
    monkeypatch.setattr(placement_figure, "MOST_CELLS", 10)
    with pytest.raises(ParameterError, match=re.escape("15 workers and 25 files")):
        write_placement(MOLS, path)


def test_sizes_grow_with_the_placement_and_stay_printable():
    assert size_of(baseline(3)) < size_of(MOLS) < size_of(mols(load=11, replication=5)) <= (12.0, 12.0)
    assert size_of(MOLS, "graph")[1] > size_of(baseline(3), "graph")[1]
