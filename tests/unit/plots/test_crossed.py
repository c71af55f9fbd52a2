"""What runs came to by the settings in which they differ."""

from dataclasses import replace
from typing import Any

from byzshield.plots import Group, Run, group_runs
from byzshield.plots.crossed import crossed, crossed_tables
from byzshield.plots.document import Figure, Heading, Table


def cells(
    values: dict[tuple[str, Any, int], float | None], *, axis: str = "attack.num_byzantine", measure: str = "test_accuracy"
):
    """Groups of a sweep's cells: what each came to by system, value of the axis and seed; None of one that was refused."""
    runs = [
        Run(
            name=f"{system}-{value}-{seed}",
            sweep="s",
            settings={"system": system, axis: value, "run.seed": seed},
            status="refused" if came_to is None else "complete",
            facts={"seed": seed, "attack": "alie", "num_byzantine": value, "num_workers": 15, measure: came_to},
            lines=[{"step": 1, "loss": 1.0}],
        )
        for (system, value, seed), came_to in values.items()
    ]
    return group_runs(runs)


def figure_of(groups: list[Group]) -> Figure:
    (figure,) = [part for part in crossed(groups) if isinstance(part, Figure)]
    return figure


def test_the_number_goes_across_in_order_and_a_cell_without_a_result_says_why() -> None:
    came_to = {("A", 5, 1): 0.5, ("A", 5, 2): 0.7, ("A", 3, 1): 0.8, ("B", 3, 1): 0.25, ("B", 5, 1): None}
    (table,) = crossed_tables(cells(came_to))
    assert list(table.rows) == [
        ("test accuracy", "num_byzantine = 3", "num_byzantine = 5"),
        ("A", "80.0%", "60.0% ± 14.1"),
        ("B", "25.0%", "refused"),
    ]


def test_the_figure_shows_means_with_their_deviations_and_leaves_out_what_is_not_there() -> None:
    figure = figure_of(cells({("A", 3, 1): 0.8, ("A", 5, 1): 0.5, ("A", 5, 2): 0.7, ("B", 3, 1): 0.25, ("B", 5, 1): None}))
    assert figure.text == "test accuracy by num_byzantine: A 0.8 at 3, 0.6 at 5; B 0.25 at 3"
    assert (figure.about, [key.label for key in figure.keys]) == ("alie", ["A", "B"])
    first, second = draw(figure).containers
    assert first.lines[0].get_xydata().tolist() == [[3, 0.8], [5, 0.6]]
    low, high = first.lines[2][0].get_segments()[1][:, 1]
    assert abs((high - low) / 2 - 0.02**0.5) < 1e-9  # of 0.5 and 0.7
    assert second.lines[0].get_xydata().tolist() == [[3, 0.25]]


def test_learning_rates_have_a_logarithmic_scale_and_a_task_without_accuracy_its_loss() -> None:
    rates = {("A", rate, 1): 2 + rate for rate in (0.0015625, 0.01, 0.1, 1000)}
    figure = figure_of(cells(rates, axis="optimizer.lr", measure="test_loss"))
    axes = draw(figure)
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "lr", "test loss")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.00156", "0.01", "0.1", "1000"]


def test_names_alone_are_a_table_and_no_figure() -> None:
    groups = cells({(system, rule, 1): 0.5 for system in ("A", "B") for rule in ("median", "krum")}, axis="aggregation.rule")
    assert [type(part) for part in crossed(groups)] == [str, Table]
    assert crossed_tables(groups)[0].rows[0] == ("test accuracy", "rule = median", "rule = krum")


def test_what_is_named_has_the_name_of_its_section() -> None:
    groups = cells({(system, rule, 1): 0.5 for system in ("A", "B") for rule in ("alie", "constant")}, axis="attack.name")
    assert crossed_tables(groups)[0].rows[0] == ("test accuracy", "attack = alie", "attack = constant")


def test_each_sweep_is_crossed_by_itself_under_its_name() -> None:
    first, second = ([run for group in cells({("A", q, 1): 0.5 for q in (3, 5)}) for run in group.runs] for _ in range(2))
    parts = crossed(group_runs([*first, *(replace(run, sweep="other") for run in second)]))
    assert [part.text for part in parts if isinstance(part, Heading)] == ["s, alie", "other, alie"]
    assert [part.name for part in parts if isinstance(part, Figure)] == ["by-setting-1", "by-setting-2"]


def test_runs_that_differ_in_too_much_or_too_little_are_not_crossed() -> None:
    alike = Run(name="a", settings={"model.name": "mlp"}, facts={"test_accuracy": 0.5})
    assert crossed(group_runs([alike])) == []
    other = Run(name="b", settings={f"model.key{index}": index for index in range(5)}, facts={"test_accuracy": 0.5})
    assert crossed(group_runs([alike, other])) == []


def draw(figure: Figure):  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure as Canvas

    axes = Canvas().subplots()
    figure.draw(axes)
    return axes
