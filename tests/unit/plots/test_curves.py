"""What curves show, and how those that coincide are told apart."""

from itertools import pairwise
from pathlib import Path

import pytest
from synthetic_runs import make_run

from byzshield.plots import Run, group_runs, read_runs
from byzshield.plots.comparisons import comparisons
from byzshield.plots.curves import LINE_HEIGHT, _apart, curves
from byzshield.plots.document import Figure
from byzshield.plots.series import MOST_POINTS, series


def figures(runs: list[Run]) -> list[Figure]:
    return [figure for found in comparisons(group_runs(runs)) for figure in curves(found, "c")]


def seeds(*lines: list[dict[str, float]]) -> list[Run]:
    return [
        Run(name=f"r-{seed}", settings={"run.seed": seed}, facts={"seed": seed}, lines=found) for seed, found in enumerate(lines)
    ]


def test_a_curve_is_the_mean_over_seeds_with_a_band_against_steps_and_the_mean_of_the_time() -> None:
    first = [{"step": step, "seconds": 1.0, "loss": 2.0} for step in (1, 2)]
    second = [{"step": step, "seconds": 3.0, "loss": 4.0} for step in (1, 2, 3)]
    (group,) = group_runs(seeds(first, second))
    found = series(group, "loss")
    assert found is not None
    assert (found.steps, found.seconds, found.mean) == ((1, 2), (2.0, 4.0), (3.0, 3.0))
    assert found.low[0] == pytest.approx(3 - 2**0.5)
    assert found.high[0] == pytest.approx(3 + 2**0.5)
    assert series(group, "test_accuracy") is None


def test_long_runs_are_thinned_by_means() -> None:
    (group,) = group_runs(seeds([{"step": step, "loss": float(step % 2)} for step in range(1, 1001)]))
    found = series(group, "loss")
    assert found is not None
    assert len(found.steps) == len(found.mean) <= MOST_POINTS
    assert found.seconds == ()
    assert max(found.mean) < 0.6


def test_accuracy_and_loss_each_have_a_figure_against_steps_and_one_against_time(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    drawn = figures(read_runs([tmp_path])[0])
    assert [figure.name for figure in drawn] == [
        "c-test-accuracy-step", "c-test-accuracy-seconds", "c-loss-step", "c-loss-seconds"
    ]  # fmt: skip
    assert "a 50.0% at step 20" in drawn[0].text


def test_a_task_without_accuracy_shows_its_test_loss() -> None:
    runs = seeds([{"step": step, "seconds": 1.0, "loss": 1.0, "test_loss": 2.0} for step in (1, 2)])
    assert [figure.name for figure in figures(runs)][:2] == ["c-test-loss-step", "c-test-loss-seconds"]


def test_curves_that_coincide_have_dashes_and_labels_of_their_own(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        make_run(tmp_path / name, placement={"scheme": {"first": "mols", "second": "frc", "third": "baseline"}[name]})
    figure = figures(read_runs([tmp_path])[0])[0]
    assert len({(key.color, key.dashes) for key in figure.keys}) == 3
    axes = draw(figure)
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    assert len({line.get_linewidth() for line in lines}) == 3  # what is below shows beside what is above
    labels = [text for text in axes.texts if text.get_text()]
    assert {text.get_text() for text in labels} == {"first", "second", "third"}
    heights = sorted(text.get_position()[1] for text in labels)
    assert all(high - low > 0.9 * LINE_HEIGHT for low, high in pairwise(heights))


def test_long_labels_are_letters_that_the_legend_explains(tmp_path: Path) -> None:
    for name in ("a name that is much too long", "short"):
        make_run(tmp_path / name, placement={"scheme": "mols" if name == "short" else "frc"})
    figure = figures(read_runs([tmp_path])[0])[0]
    assert [key.label for key in figure.keys] == ["A: a name that is much too long", "B: short"]
    assert {text.get_text() for text in draw(figure).texts} == {"A", "B"}


def test_a_run_that_goes_on_is_named_as_such(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", status=None, lines=10, placement={"scheme": "frc"})
    assert [key.label for key in figures(read_runs([tmp_path])[0])[0].keys] == ["a", "b (unfinished)"]


def test_losses_of_other_magnitudes_have_a_logarithmic_scale() -> None:
    runs = seeds([{"step": step, "loss": 10.0**step} for step in (1, 2, 3, 4)])
    assert draw(figures(runs)[0]).get_yscale() == "log"


def test_the_band_of_a_loss_ends_above_zero_which_a_logarithmic_scale_does_not_have() -> None:
    (group,) = group_runs(seeds(*([{"step": 1, "loss": loss}] for loss in (0.5, 0.5, 100.0))))
    found = series(group, "loss")
    assert found is not None
    assert (found.low, found.mean[0] < found.high[0]) == ((0.5,), True)


def test_labels_move_apart_and_stay_in_order() -> None:
    places = _apart([0.0, 0.0, 0.01, 0.5, 1.0])
    assert places == sorted(places)
    assert min(high - low for low, high in pairwise(places)) > 0.95 * LINE_HEIGHT


def draw(figure: Figure):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure as Canvas

    axes = Canvas().subplots()
    figure.draw(axes)
    return axes
