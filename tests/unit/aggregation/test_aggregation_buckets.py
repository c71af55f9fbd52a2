"""Rules that work in buckets of rows: the published forms, what they withstand, and what they hand on to the rules within."""

import itertools

import numpy as np
import pytest
import torch

from byzshield.aggregation import (
    AGGREGATORS,
    Aggregator,
    Bucketed,
    Bucketing,
    CenteredClipping,
    Mean,
    Median,
    MedianOfMeans,
    MultiKrum,
    Pipeline,
    TrimmedMean,
)
from byzshield.errors import ParameterError, TooFewRowsError
from byzshield.seeding import generator


def rows(n=9, d=6, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def published_buckets(x, number, *, seed, step):
    """The rows in a random order, in `number` parts whose sizes differ by one at most, the longer ones first."""
    order = generator(seed, "aggregation.bucketing", step).permutation(len(x))
    size, longer = divmod(len(x), number)
    ends = np.cumsum([0] + [size + 1] * longer + [size] * (number - longer))
    return [x[order[start:stop]] for start, stop in itertools.pairwise(ends)]


class Noting(Mean):
    """A mean that notes what reaches it."""

    seen: list = []  # noqa: RUF012

    def _combine(self, rows):
        self.seen.append((len(rows), self.num_corrupted))
        return super()._combine(rows)


class Tough(Noting):
    """The same, as if it withstood what a median withstands."""

    robust = True
    seen: list = []  # noqa: RUF012

    @property
    def minimum_rows(self):
        return 2 * self.num_corrupted + 1


TOUGH, NOTING = f"{__name__}:Tough", f"{__name__}:Noting"


@pytest.mark.parametrize("n", [15, 16, 17, 25])
@pytest.mark.parametrize("step", [1, 2])
class TestThePublishedForms:
    def test_the_median_of_the_means_of_a_number_of_buckets(self, n, step):
        x = rows(n)
        expected = np.median([bucket.mean(axis=0) for bucket in published_buckets(x, 7, seed=4, step=step)], axis=0)
        for rule in (
            MedianOfMeans(num_corrupted=3, num_buckets=7, seed=4),
            Bucketed(num_corrupted=3, num_buckets=7, inner="mean", outer="median", seed=4),
        ):
            np.testing.assert_allclose(rule(x, step=step), expected, atol=1e-12)
        chain = Pipeline(Median(num_corrupted=3), [Bucketing(num_buckets=7, seed=4)])
        np.testing.assert_allclose(chain(x, step=step).vector, expected, atol=1e-12)

    def test_the_mean_of_multi_krum_in_each_bucket_against_all_corrupted_rows(self, n, step):
        x = rows(n)
        x[:2] += 50
        buckets = published_buckets(x, 2, seed=4, step=step)
        expected = np.mean([MultiKrum(num_corrupted=2)(bucket) for bucket in buckets], axis=0)
        rule = Bucketed(num_corrupted=2, num_buckets=2, inner="multi_krum", outer="mean", seed=4)
        np.testing.assert_allclose(rule(x, step=step), expected, atol=1e-12)

    def test_the_sign_of_the_sum_in_each_bucket_and_over_the_buckets(self, n, step):
        x = rows(n, 60)
        signs = [np.sign(np.sign(bucket).sum(axis=0)) for bucket in published_buckets(x, 3, seed=4, step=step)]
        rule = Bucketed(num_corrupted=2, num_buckets=3, inner="sign_majority", outer="sign_majority", seed=4)
        expected = np.sign(np.sum(signs, axis=0))
        np.testing.assert_array_equal(rule(x, step=step), expected)
        assert not np.array_equal(expected, np.sign(np.sign(x).sum(axis=0)))
        small = np.sign(x).astype(np.int8)
        assert rule(small, step=step).dtype == np.int8
        np.testing.assert_array_equal(rule(small, step=step), expected)
        np.testing.assert_array_equal(rule(torch.from_numpy(small), step=step).numpy(), expected)


def test_a_number_of_buckets_makes_sizes_that_differ_by_one_and_a_size_leaves_the_rest():
    for keywords, sizes in (({"num_buckets": 3}, [4, 4, 3]), ({"bucket_size": 3}, [3, 3, 3, 2]), ({}, [2, 2, 2, 2, 2, 1])):
        buckets = Bucketing(**keywords).buckets.split(11, seed=1, step=2)
        assert [len(bucket) for bucket in buckets] == sizes
        assert sorted(itertools.chain(*buckets)) == list(range(11))
        assert Bucketing(**keywords).rows_after(11) == len(sizes)
    assert Bucketing(num_buckets=5).rows_after(3) == 3


def test_where_rows_are_fewer_than_buckets_each_row_is_a_bucket():
    x = rows(5)
    for rule in (
        MedianOfMeans(num_corrupted=2, num_buckets=25),
        Bucketed(num_corrupted=2, num_buckets=25, inner="mean", outer="median"),
    ):
        np.testing.assert_allclose(rule(x), np.median(x, axis=0), atol=1e-12)
        with pytest.raises(TooFewRowsError, match="needs at least 5 rows; got 4"):
            rule(x[:4])


def test_median_of_means_refuses_a_number_of_buckets_that_its_outer_rule_cannot_defend():
    with pytest.raises(TooFewRowsError, match="against 2 corrupted rows needs at least 5 buckets; got 4"):
        MedianOfMeans(num_corrupted=2, num_buckets=4)(rows(100))
    with pytest.raises(TooFewRowsError, match="needs at least 7 buckets; got 6"):
        MedianOfMeans(num_corrupted=2, num_buckets=6, outer="multi_krum")(rows(100))


class TestWhatBucketedWithstands:
    @pytest.mark.parametrize(
        ("inner", "outer", "num_buckets", "num_corrupted", "least"),
        [
            ("multi_krum", "mean", 2, 2, 14),  # DETOX's 15 groups in buckets of 8 and 7
            ("multi_krum", "mean", 1, 9, 21),
            ("median", "mean", 3, 3, 21),
            ("mean", "median", 7, 3, 7),
            ("sign_majority", "sign_majority", 1, 2, 5),
            # Of three buckets the outer rule may lose one: a bucket of three falls to two rows, so three corrupt one bucket.
            ("sign_majority", "sign_majority", 3, 3, 9),
            ("median", "median", 3, 4, 15),  # buckets of four fall to two rows, so four corrupt two; of five to three
            ("mean", "mean", 4, 3, 1),  # nothing is promised
        ],
    )
    def test_the_least_rows_are_those_with_which_no_placing_of_the_corrupted_ones_carries_it_away(
        self, inner, outer, num_buckets, num_corrupted, least
    ):
        rule = Bucketed(num_corrupted=num_corrupted, num_buckets=num_buckets, inner=inner, outer=outer)
        assert rule.minimum_rows == least
        rule.check_rows(least)
        rule.check_rows(least + 1)
        if least > 1:
            with pytest.raises(TooFewRowsError, match=f"needs at least {least} rows; got {least - 1}"):
                rule.check_rows(least - 1)

    @pytest.mark.parametrize(("n", "num_buckets", "num_corrupted"), [(9, 3, 3), (15, 3, 5), (25, 5, 8)])
    def test_corrupted_rows_at_the_limit_stay_within_the_honest_range_at_every_step(self, n, num_buckets, num_corrupted):
        rule = Bucketed(num_corrupted=num_corrupted, num_buckets=num_buckets, inner="median", outer="median")
        rule.check_rows(n)
        x = rows(n)
        honest = x[num_corrupted:]
        x[:num_corrupted] = 1e6
        for step in range(200):
            result = rule(x, step=step)
            assert (result <= honest.max(axis=0)).all()
        with pytest.raises(TooFewRowsError):
            rule.against(num_corrupted + 1).check_rows(n)

    @pytest.mark.parametrize(("inner", "outer"), [("mean", "median"), ("multi_krum", "krum")])
    def test_more_rows_do_not_help_where_the_buckets_are_too_few(self, inner, outer):
        rule = Bucketed(num_corrupted=2, num_buckets=2, inner=inner, outer=outer)
        for n in (1, 14, 10_000):
            with pytest.raises(TooFewRowsError, match="needs"):
                rule.check_rows(n)
        with pytest.raises(TooFewRowsError, match="needs more than 2 buckets, of which "):
            rule.check_rows(10_000)

    def test_a_mean_over_the_buckets_tolerates_no_corrupted_result(self):
        with pytest.raises(TooFewRowsError, match="needs at least 18 rows; got 17"):
            Bucketed(num_corrupted=3, num_buckets=2, inner="multi_krum").check_rows(17)

    @pytest.mark.parametrize(
        ("num_corrupted", "told_inside", "told_outside"),
        [(1, 1, 0), (2, 2, 0), (3, 2, 1), (5, 2, 1)],
    )
    def test_each_rule_is_told_its_share(self, num_corrupted, told_inside, told_outside):
        Tough.seen.clear()
        rule = Bucketed(num_corrupted=num_corrupted, num_buckets=3, inner=TOUGH, outer=TOUGH)
        rule(rows(17))
        assert Tough.seen == [(6, told_inside), (6, told_inside), (5, told_inside), (3, told_outside)]

    def test_a_mean_inside_is_told_nothing_and_leaves_all_to_the_outer_rule(self):
        Noting.seen.clear()
        Tough.seen.clear()
        Bucketed(num_corrupted=3, num_buckets=7, inner=NOTING, outer=TOUGH)(rows(17))
        assert (Noting.seen[0], Tough.seen) == ((3, 0), [(7, 3)])

    def test_any_number_of_corrupted_rows_is_answered_at_once(self):
        with pytest.raises(TooFewRowsError):
            Bucketed(num_corrupted=2**62, num_buckets=2**62).check_rows(25)


@pytest.mark.parametrize("rule", ["dnc", "sign_guard", "median_of_means", "bucketed"])
def test_a_rule_within_draws_from_the_seed_and_the_step(rule):
    whole = MedianOfMeans(num_corrupted=1, num_buckets=6, seed=3, outer=rule)
    inside = AGGREGATORS.get(rule)(num_corrupted=1, seed=3)
    x = rows(6)
    order = [bucket[0] for bucket in whole.buckets.split(6, seed=3, step=8)]
    np.testing.assert_allclose(whole(x, step=8), inside(x[order], step=8), atol=1e-12)
    over = Bucketed(num_corrupted=1, num_buckets=6, inner="mean", outer=rule, seed=3)
    np.testing.assert_allclose(over(x, step=8), whole(x, step=8), atol=1e-12)
    both = Bucketed(num_corrupted=1, num_buckets=1, inner=rule, seed=3)
    np.testing.assert_allclose(both(x, step=8), inside(x, step=8), atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MedianOfMeans(num_corrupted=1, outer="centered_clipping"),
        lambda: Bucketed(num_corrupted=1, num_buckets=4, outer="centered_clipping"),
    ],
    ids=["median_of_means", "bucketed"],
)
def test_what_the_outer_rule_remembers_is_in_the_checkpoint(make):
    x, y = rows(12, seed=1) * 9, rows(12, seed=2) * 9
    rule, fresh = make(), make()
    assert rule.remembers
    Pipeline(rule)(x, step=1)
    saved = Pipeline(rule).state_dict()
    assert set(saved) == {"center"}
    expected = Pipeline(rule)(y, step=2).vector
    assert not np.array_equal(Pipeline(make())(y, step=2).vector, expected)
    Pipeline(fresh).load_state_dict(saved)
    np.testing.assert_array_equal(Pipeline(fresh)(y, step=2).vector, expected)


def test_only_means_of_means_withstand_nothing():
    assert not any(rule.robust for rule in (Mean(), MedianOfMeans(outer="mean"), Bucketed(inner="mean", outer="mean")))
    assert all(rule.robust for rule in (Median(), MedianOfMeans(), Bucketed(inner="mean", outer="median"), Bucketed()))


def test_rules_say_whether_they_remember():
    assert CenteredClipping().remembers
    assert not any(rule.remembers for rule in (Mean(), TrimmedMean(), MedianOfMeans(), Bucketed()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bucketed(inner="centered_clipping"), "CenteredClipping remembers earlier steps"),
        (lambda: Bucketed(inner="monna"), "MoNNA must know which row is which"),
        (lambda: Bucketed(outer="monna"), "MoNNA must know which row is which"),
        (lambda: MedianOfMeans(outer="monna"), "MoNNA must know which row is which"),
        (lambda: Bucketed(num_buckets=0), "num_buckets must be at least 1; got 0"),
        (lambda: Bucketed(seed=-1), "seed must not be negative"),
        (lambda: Bucketing(num_buckets=0), "num_buckets must be at least 1; got 0"),
        (lambda: MedianOfMeans(num_buckets=-1), "num_buckets must be at least 1; got -1"),
        (lambda: Bucketing(bucket_size=2, num_buckets=3), "give bucket_size or num_buckets, not both; got 2 and 3"),
        (lambda: MedianOfMeans(bucket_size=1, num_buckets=1), "give bucket_size or num_buckets, not both; got 1 and 1"),
    ],
)
def test_what_cannot_be_put_into_buckets_is_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_coordinate_wise_pair_is_one():
    assert Bucketed(inner="median", outer="mean").coordinate_wise
    assert not Bucketed(inner="median", outer="krum").coordinate_wise
    assert not Bucketed(inner="krum", outer="median").coordinate_wise
    assert isinstance(Bucketed(), Aggregator)
