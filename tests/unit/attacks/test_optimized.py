"""Attacks that try out the server's rule: the searches, and what they find, against brute force."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import byzshield as bz
from byzshield.attacks import Attack, Defense
from byzshield.attacks.line import Line, best_factor, largest_accepted
from byzshield.config import RunConfig
from byzshield.errors import ConfigError, ParameterError
from byzshield.runtime import Builder, simulate

F = 5
RULES = [
    bz.Median(F),
    bz.TrimmedMean(F),
    bz.MultiKrum(F),
    bz.Pipeline(bz.TrimmedMean(F), [bz.NNM()]),
    bz.CenteredClipping(F, radius=2.0),
]


def name_of(rule: Any) -> str:
    return type(getattr(rule, "rule", rule)).__name__


of_each_rule = pytest.mark.parametrize("rule", RULES, ids=name_of)


def population(n: int = 20, d: int = 30, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.3, size=d) + rng.normal(size=(n, d)) * rng.uniform(0.2, 2, size=d)


def harm(rule: Any, honest: np.ndarray, forged: np.ndarray, num_forged: int = F) -> float:
    """norm(F - mu)^2, over all rows."""
    result = copy.deepcopy(rule)(np.vstack([honest, np.tile(forged, (num_forged, 1))]))
    return float(((getattr(result, "vector", result) - honest.mean(0)) ** 2).sum())


def tried(objective: Callable[[float], float], search: Any) -> tuple[list[float], float]:
    """Which factors a search tries, and which it takes."""
    points: list[float] = []

    def noted(factor: float) -> float:
        points.append(factor)
        return objective(factor)

    return points, best_factor(noted, search)


def test_the_search_of_lpd_epfl_by_hand() -> None:
    # 0, 1, 3, 7 pay (steps 1, 2, 4), 15 does not: the step is 6.4, and each further one 0.8 of it; first below the best, then,
    # from below it, up again.
    points, best = tried(lambda x: -abs(x - 8.5), "optimized")
    assert points[:5] == [0, 1, 3, 7, 15]
    assert points[5] == pytest.approx(15 - 6.4)  # 8.6, better than 7
    assert points[6] == pytest.approx(8.6 - 5.12)  # 3.48, which is below the best
    assert points[7] == pytest.approx(3.48 + 4.096)
    assert len(points) == 16
    assert best == pytest.approx(8.5, abs=0.5)


def test_the_search_stays_positive_and_tries_16_points_whatever_it_finds() -> None:
    points, best = tried(lambda x: -x, "optimized")
    assert best == 0
    assert len(points) == 16
    assert min(points) == 0
    assert tried(lambda x: x, "optimized")[1] == 2**15 - 1
    assert tried(lambda x: float("nan"), "optimized")[1] == 0


def test_the_search_of_byzfl_by_hand() -> None:
    points, best = tried(lambda x: -abs(x - 35), "optimized_byzfl")
    assert points[:4] == [0, 10, 30, 70]  # 70 does not pay; the step is 32, and never goes below the best
    assert points[4:6] == pytest.approx([62, 30 + 25.6])
    assert len(points) == 20
    assert best == pytest.approx(30 + 32 * 0.8**6)  # the first that is nearer to 35 than 30 is
    assert min(points[3:]) > 30


def test_the_halving_search_ends_at_the_last_factor_that_is_accepted() -> None:
    assert largest_accepted(lambda x: x <= 12.3, start=10.0) == pytest.approx(12.3, abs=2e-5)
    assert largest_accepted(lambda x: x <= 0.7, start=3.0) == pytest.approx(0.7, abs=2e-5)
    assert largest_accepted(lambda x: True, start=10.0) == pytest.approx(20, abs=2e-5)
    assert largest_accepted(lambda x: False, start=10.0) == 0


@of_each_rule
@pytest.mark.parametrize("search", ["optimized", "optimized_byzfl"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_alie_takes_the_z_that_a_search_by_hand_finds(rule: Any, search: Any, sign: Any) -> None:
    honest = population()
    mean, deviation = honest.mean(0), honest.std(0)
    z = best_factor(lambda z: harm(rule, honest, mean + sign * z * deviation), search)
    assert np.allclose(bz.ALIE(z=search, sign=sign)(honest, F, rule=rule), mean + sign * z * deviation, rtol=1e-12)


@of_each_rule
def test_fall_of_empires_takes_the_epsilon_that_a_search_by_hand_finds(rule: Any) -> None:
    honest = population()
    epsilon = best_factor(lambda epsilon: harm(rule, honest, -epsilon * honest.mean(0)), "optimized")
    assert np.allclose(bz.FallOfEmpires(epsilon="optimized")(honest, F, rule=rule), -epsilon * honest.mean(0), rtol=1e-12)


@of_each_rule
def test_the_search_comes_near_the_worst_of_many_factors(rule: Any) -> None:
    honest = population()
    mean, deviation = honest.mean(0), honest.std(0)
    worst = max(harm(rule, honest, mean - z * deviation) for z in np.linspace(0, 60, 600))
    found = harm(rule, honest, bz.ALIE(z="optimized")(honest, F, rule=rule))
    assert 0.9 * worst <= found
    assert found >= harm(rule, honest, bz.ALIE(z=1.0)(honest))


def published_gamma(rule: Any, honest: np.ndarray, p: np.ndarray) -> float:
    """gamma for the trimmed mean, as the authors search."""
    gamma, step, found, before = 10.0, 10.0, 0.0, -1.0
    while abs(found - gamma) > 1e-5:
        loss = harm(rule, honest, honest.mean(0) - gamma * p)
        if before < loss:
            found, gamma = gamma, gamma + step / 2
        else:
            gamma -= step / 2
        step, before = step / 2, loss
    return found


def all_selected(honest: np.ndarray, forged: np.ndarray) -> bool:
    """Whether all forged rows are among the n - f - 2 of the best Krum scores."""
    rows = np.vstack([honest, np.tile(forged, (F, 1))])
    squared = ((rows[:, None] - rows) ** 2).sum(axis=2)
    n = len(rows)
    scores = [np.sort(np.delete(line, row))[: n - F - 2].sum() for row, line in enumerate(squared)]
    return set(range(len(honest), n)) <= set(np.argsort(scores, kind="stable")[: n - F - 2].tolist())


def perturbation(honest: np.ndarray, name: str) -> np.ndarray:
    mean = honest.mean(0)
    return np.asarray({"std": honest.std(0, ddof=1), "unit": mean / np.linalg.norm(mean), "sign": np.sign(mean)}[name])


@pytest.mark.parametrize("name", ["std", "unit", "sign"])
@pytest.mark.parametrize("rule", RULES[:4], ids=name_of)  # clipping makes all that is far alike, but for rounding
def test_agr_tailored_by_distance_is_the_authors_search(rule: Any, name: Any) -> None:
    honest = population()
    p = perturbation(honest, name)
    forged = bz.AGRTailored(perturbation=name, judge="distance")(honest, F, rule=rule)
    assert np.allclose(forged, honest.mean(0) - published_gamma(rule, honest, p) * p, atol=1e-4)


@pytest.mark.parametrize("name", ["std", "unit", "sign"])
def test_agr_tailored_by_selection_sends_the_farthest_rows_that_multi_krum_averages(name: Any) -> None:
    honest = population()
    p = perturbation(honest, name)
    gamma = largest_accepted(lambda gamma: all_selected(honest, honest.mean(0) - gamma * p), start=3.0)
    assert 0 < gamma < 6
    forged = bz.AGRTailored(perturbation=name, judge="selection")(honest, F)
    assert np.allclose(forged, honest.mean(0) - gamma * p, atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "judge"), [(bz.MultiKrum(F), "selection"), (bz.Bulyan(4), "selection"), (bz.Median(F), "distance")]
)
def test_agr_tailored_is_judged_as_the_rule_asks_for(rule: Any, judge: Any) -> None:
    honest = population()
    assert np.array_equal(bz.AGRTailored()(honest, F, rule=rule), bz.AGRTailored(judge=judge)(honest, F, rule=rule))
    other = "distance" if judge == "selection" else "selection"
    assert not np.array_equal(bz.AGRTailored()(honest, F, rule=rule), bz.AGRTailored(judge=other)(honest, F, rule=rule))


TRYING = [
    bz.ALIE(z="optimized"),
    bz.FallOfEmpires(epsilon="optimized"),
    bz.FallOfEmpires(epsilon="optimized_byzfl", weighting="honest_copies"),
    bz.AGRTailored(),
]
of_each_attack = pytest.mark.parametrize("attack", TRYING, ids=repr)


@of_each_attack
def test_a_rule_that_was_told_nothing_is_told_the_number_of_forged_rows(attack: Attack) -> None:
    honest = population()
    assert np.array_equal(attack(honest, F, rule=bz.TrimmedMean()), attack(honest, F, rule=bz.TrimmedMean(F)))


@of_each_attack
def test_a_rule_may_be_any_function_of_the_rows(attack: Attack) -> None:
    honest = population()
    seen: list[tuple[int, ...]] = []

    def middle(rows: np.ndarray) -> np.ndarray:
        seen.append(rows.shape)
        return np.asarray(np.median(rows, axis=0))

    assert np.allclose(attack(honest, F, rule=middle), attack(honest, F, rule=bz.Median()), rtol=1e-9)
    assert set(seen) == {(25, 30)}


@of_each_attack
def test_it_takes_tensors_and_lists_and_leaves_them_as_they_are(attack: Attack) -> None:
    honest = population().astype(np.float32)
    before = honest.copy()
    expected = attack(honest, F, rule=bz.Median())
    assert torch.equal(attack(torch.from_numpy(honest), F, rule=bz.Median()), torch.from_numpy(expected))
    assert np.array_equal(attack(list(honest), F, rule=bz.Median()), expected)
    assert np.array_equal(honest, before)


@of_each_attack
def test_without_a_rule_it_says_what_it_needs(attack: Attack) -> None:
    with pytest.raises(ParameterError, match=r"needs rule, what the server does with the rows, as in rule=bz\.Median\(\)"):
        attack(population(), F)
    with pytest.raises(ParameterError, match="needs num_corrupted"):
        attack(population(), rule=bz.Median())


def test_without_forged_rows_nothing_is_gained() -> None:
    honest = population()
    assert np.allclose(bz.ALIE(z="optimized")(honest, 0, rule=bz.Median()), honest.mean(0))


def test_a_point_beyond_the_range_of_numbers_is_at_its_end() -> None:
    largest = float(np.finfo(np.float32).max)
    assert Line(None, np.array([1e38, -1e38, 1.0])).at(100.0, np.float32).tolist() == [largest, -largest, 100.0]
    honest = (population() * 1e37).astype(np.float32)
    assert np.isfinite(bz.ALIE(z="optimized")(honest, F, rule=bz.Mean())).all()


class TestDefense:
    def test_it_is_the_rule_on_all_rows_with_what_is_sent_in_its_place(self) -> None:
        rows, forged = population(), np.full(30, 7.0)
        replaced = rows.copy()
        replaced[[3, 8]] = forged
        before = rows.copy()
        defense = Defense(bz.Pipeline(bz.TrimmedMean(2), [bz.NNM()]), rows, corrupted=[3, 8], step=1)
        expected = bz.Pipeline(bz.TrimmedMean(2), [bz.NNM()])(replaced).vector
        assert expected is not None
        for _ in range(2):
            result = defense(forged)
            assert result is not None
            assert result.tobytes() == expected.tobytes()
        assert rows.tobytes() == before.tobytes()
        assert defense.damage(forged, rows.mean(0)) == pytest.approx(((expected - rows.mean(0)) ** 2).sum())

    def test_a_rule_that_remembers_is_the_same_at_each_trial_and_in_the_run(self) -> None:
        rule = bz.Pipeline(bz.CenteredClipping(2, radius=0.5))
        defense = Defense(rule, population(), corrupted=[0, 1], step=1)
        first, second = defense(np.zeros(30)), defense(np.zeros(30))
        assert first is not None
        assert second is not None
        assert first.tobytes() == second.tobytes()
        assert not rule.state_dict() or rule.state_dict() == bz.Pipeline(bz.CenteredClipping(2, radius=0.5)).state_dict()

    def test_a_rule_that_was_told_a_number_keeps_it(self) -> None:
        rows = population()
        for rule, expected in ((bz.TrimmedMean(4), bz.TrimmedMean(4)), (bz.TrimmedMean(), bz.TrimmedMean(2))):
            result = Defense(rule, rows, corrupted=[0, 1], step=1)(rows[0])
            rows_of_both = np.vstack([rows[0], rows[0], rows[2:]])
            assert np.array_equal(result, expected(rows_of_both))  # type: ignore[arg-type]

    def test_the_draws_of_a_seeded_rule_are_those_of_the_step(self) -> None:
        rows = population()
        rule = bz.Pipeline(bz.Median(2), [bz.Bucketing(bucket_size=2, seed=3)])
        results = [Defense(rule, rows, corrupted=[], step=step)(rows[0]) for step in (1, 2)]
        for step, result in enumerate(results, start=1):
            expected = rule(rows, step=step).vector
            assert expected is not None
            assert result is not None
            assert result.tobytes() == expected.tobytes()
        assert not np.array_equal(results[0], results[1])  # type: ignore[arg-type]

    def test_it_sees_the_gradient_alone_where_the_attack_forges_what_is_behind_it_too(self) -> None:
        rows = population(d=30)
        defense = Defense(bz.Median(2), rows[:, :28], corrupted=[0, 1], step=1)
        result = defense(np.full(30, 5.0))
        assert result is not None
        assert result.shape == (28,)
        assert defense.damage(np.full(30, 5.0), rows.mean(0)) > 0

    def test_where_too_few_rows_are_finite_there_is_no_damage(self) -> None:
        rows = population(5)
        rows[:3, 0] = np.nan
        defense = Defense(bz.Pipeline(bz.MultiKrum(1)), rows, corrupted=[4], step=1)
        assert defense(rows[3]) is None
        assert defense.damage(rows[3], rows[3]) == 0


def test_points_of_a_line_are_the_same_in_blocks() -> None:
    rng = np.random.default_rng(0)
    origin, direction = rng.normal(size=(2, 150_001))
    assert Line(origin, direction).at(0.3, np.float32).tobytes() == (origin + 0.3 * direction).astype(np.float32).tobytes()
    assert Line(None, direction).at(0.3, np.float32).tobytes() == (0.3 * direction).astype(np.float32).tobytes()


ATTACKS: list[dict[str, Any]] = [
    {"name": "alie", "z": "optimized"},
    {"name": "fall_of_empires", "epsilon": "optimized", "forge_statistics": True},
    {"name": "agr_tailored"},
    {"name": "fang"},
    {"name": "fang_krum"},
]
Maker = Callable[..., RunConfig]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"])
def test_a_run_under_it_ends_with_the_same_weights_on_any_number_of_ranks(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    attack: dict[str, Any],
) -> None:
    def trained(num_ranks: int, num_byzantine: int = 3) -> dict[str, torch.Tensor]:
        config = tiny_run(
            attack={**attack, "num_byzantine": num_byzantine}, aggregation={"rule": "multi_krum", "num_corrupted": 3}
        )
        directory, summary = simulate(config, num_ranks=num_ranks, overwrite=True)
        assert (summary["steps"], summary["undecided_files"]) == (4, 0)
        return weights_of(directory.path)

    weights = trained(2)
    assert same_weights(weights, trained(6))
    assert not same_weights(weights, trained(2, num_byzantine=0))


def test_in_a_run_it_sees_the_rows_that_the_server_gets(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thing that it tries on the rule, at the winning factor, is what the server then computes."""
    tries: list[np.ndarray] = []
    call, sent = Defense.__call__, Line.worst

    def noted(self: Defense, forged: np.ndarray) -> np.ndarray | None:
        result = call(self, forged)
        assert result is not None
        tries.append(result)
        return result

    def tried_again(self: Line, defense: Defense, **others: Any) -> np.ndarray:
        forged = sent(self, defense, **others)
        defense(forged)
        return forged

    monkeypatch.setattr(Defense, "__call__", noted)
    monkeypatch.setattr(Line, "worst", tried_again)
    steps: list[np.ndarray] = []
    combine = bz.Pipeline.__call__

    def combined(self: bz.Pipeline, gradients: Any, **others: Any) -> Any:
        aggregate = combine(self, gradients, **others)
        if others.get("statistics") is not None:  # the server's
            steps.append(aggregate.vector)
        return aggregate

    monkeypatch.setattr(bz.Pipeline, "__call__", combined)
    aggregation: dict[str, Any] = {"rule": "trimmed_mean", "pre": [{"name": "bucketing", "bucket_size": 2}]}
    simulate(tiny_run(attack={"name": "alie", "z": "optimized", "num_byzantine": 3}, aggregation=aggregation), num_ranks=3)
    assert len(steps) == 4
    assert [last.tobytes() for last in tries[16::17]] == [vector.tobytes() for vector in steps]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"attack": {"knowledge": "own"}}, 'alie tries out the server\'s rule on all files; use attack.knowledge = "omniscient"'),
        (
            {
                "cluster": {"num_workers": 5, "exchange": "coded"},
                "placement": {"scheme": "cyclic"},
                "aggregation": {"rule": "mean"},
                "attack": {"num_byzantine": 1},
            },
            'and cluster.exchange = "coded" has none',
        ),
    ],
)
def test_where_it_cannot_try_the_rule_it_is_refused(tiny_run: Maker, sections: dict[str, Any], message: str) -> None:
    attack = {"name": "alie", "z": "optimized", "num_byzantine": 3, **sections.pop("attack")}
    builder = Builder(tiny_run(attack=attack, **sections))
    for made in (builder.check, builder.server):
        with pytest.raises(ConfigError, match=message):
            made()


def test_workers_take_the_number_of_corrupted_files_from_the_server(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = {"name": "alie", "z": "optimized", "num_byzantine": 3}
    builder = Builder(tiny_run(attack=attack), num_ranks=3)
    monkeypatch.setattr("byzshield.runtime.building.places.worst_case", lambda *_, **__: pytest.fail("a search"))
    told = builder.with_witness((0, 5, 11), 4)
    assert told.pipeline().num_corrupted == 4
    assert told.worker(1) is not None
