"""Which runs stand in one figure."""

from dataclasses import replace
from pathlib import Path

from synthetic_runs import make_run

from byzshield.plots import Run, group_runs, read_runs
from byzshield.plots.comparisons import MOST_LINES, comparisons


def sweep_run(system: str, q: int, seed: int) -> Run:
    lines = [{"step": step, "test_accuracy": step / 10} for step in (1, 2)]
    settings = {"system": system, "attack.num_byzantine": q, "run.seed": seed}
    return Run(name=f"{system}{q}{seed}", sweep="s", settings=settings, facts={"seed": seed, "test_accuracy": 0.2}, lines=lines)


def titles_and_labels(runs: list[Run]) -> list[tuple[str, list[str]]]:
    return [(found.title, [line.label for line in found.lines]) for found in comparisons(group_runs(runs))]


def test_cells_of_one_attack_are_compared_and_those_of_another_are_not() -> None:
    runs = [sweep_run(system, q, seed) for system in ("A", "B") for q in (3, 5) for seed in (1, 2)]
    assert titles_and_labels(runs) == [("num_byzantine = 3", ["A", "B"]), ("num_byzantine = 5", ["A", "B"])]
    first, second = comparisons(group_runs(runs))
    assert first.lines[1].color == second.lines[1].color != first.lines[0].color
    assert first.lines[1].dashes == second.lines[1].dashes != first.lines[0].dashes


def test_a_title_says_once_how_many_workers_attack() -> None:
    facts = {"attack": "alie", "num_byzantine": 3, "num_workers": 15}
    runs = [sweep_run(system, q, 1) for system in ("A", "B") for q in (3, 5)]
    runs = [replace(run, facts={**facts, "num_byzantine": run.settings["attack.num_byzantine"]}) for run in runs]
    assert [title for title, _ in titles_and_labels(runs)] == ["alie by 3 of 15 workers", "alie by 5 of 15 workers"]


def test_a_defense_alone_against_several_attacks_is_one_comparison() -> None:
    ((_, labels),) = titles_and_labels([sweep_run("A", q, 1) for q in (3, 5, 7)])
    assert labels == ["num_byzantine = 3", "num_byzantine = 5", "num_byzantine = 7"]


def test_runs_of_other_data_attack_or_length_are_apart(tmp_path: Path) -> None:
    attack = {"num_byzantine": 3}
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", placement={"scheme": "frc"})
    make_run(tmp_path / "c", placement={"scheme": "frc"}, run={"steps": 40})
    make_run(tmp_path / "d", placement={"scheme": "frc"}, data={"name": "synthetic"})
    make_run(tmp_path / "e", placement={"scheme": "frc"}, aggregation={"rule": "krum"}, attack={**attack, "name": "constant"})
    found = titles_and_labels(read_runs([tmp_path])[0])
    assert [labels for _, labels in found] == [["a", "b"], ["e"], ["c"], ["d"]]
    assert found[0][0] == "alie by 3 of 15 workers, mnist5k, 100 steps"
    assert len({title for title, _ in found}) == 4


def test_titles_that_would_be_the_same_say_what_differs(tmp_path: Path) -> None:
    for name in ("mlp", "lenet"):
        make_run(tmp_path / f"of-{name}", model={"name": name})
    titles = [title for title, _ in titles_and_labels(read_runs([tmp_path])[0])]
    assert [title.rpartition(", ")[2] for title in titles] == ["model = lenet", "model = mlp"]


def test_more_lines_than_can_be_told_apart_are_several_comparisons(tmp_path: Path) -> None:
    for number in range(MOST_LINES + 1):
        make_run(tmp_path / f"run-{number:02}", aggregation={"rule": "bulyan", "num_corrupted": number})
    first, second = comparisons(group_runs(read_runs([tmp_path])[0]))
    assert (len(first.lines), len(second.lines)) == (MOST_LINES, 1)
    assert first.title.endswith("(1 of 2)")
    assert len({line.color for line in first.lines}) == len({line.dashes for line in first.lines}) == MOST_LINES


def test_cells_bear_the_name_of_their_sweep_only_beside_those_of_another(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "first")])[0]
    cells = [sweep_run(system, 3, 1) for system in ("A", "B")]
    assert [group.label for group in group_runs([*runs, *cells])] == ["first", "A", "B"]
    labels = [group.label for group in group_runs([*runs, *cells, *(replace(cell, sweep="t") for cell in cells)])]
    assert labels == ["first", "s, A", "s, B", "t, A", "t, B"]
