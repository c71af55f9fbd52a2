"""The non-finite policy, the chain of pre-aggregators and what it does to the counts."""

import tracemalloc

import numpy as np
import pytest
import torch

from byzshield.aggregation import (
    AGGREGATORS,
    ARC,
    NNM,
    Aggregator,
    Bucketing,
    CenteredClipping,
    ClippedClustering,
    DnC,
    Krum,
    Mean,
    Median,
    MedianOfMeans,
    MoNNA,
    Pipeline,
    SignGuard,
    SignMajority,
    StaticClipping,
    TrimmedMean,
)
from byzshield.errors import CheckpointError, ConfigError, ParameterError, TooFewRowsError


class Recorder(Mean):
    """A rule that notes what reaches it."""

    seen = None

    def _combine(self, rows):
        type(self).seen = (rows.copy(), self.num_corrupted)
        return super()._combine(rows)


def rows(n=9, d=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def test_a_non_finite_row_is_dropped_reported_and_no_longer_expected():
    x = rows()
    x[2, 5], x[7, 0] = np.nan, -np.inf
    aggregate = Pipeline(Recorder(num_corrupted=3))(x)
    assert aggregate.non_finite == (2, 7)
    assert aggregate.reason == ""
    seen, corrupted = Recorder.seen
    np.testing.assert_array_equal(seen, np.delete(x, [2, 7], axis=0))
    assert corrupted == 1


def test_more_non_finite_rows_than_corrupted_ones_leave_none_expected():
    x = rows()
    x[:3] = np.inf
    assert Pipeline(Recorder(num_corrupted=1))(x).non_finite == (0, 1, 2)
    assert Recorder.seen[1] == 0


def test_a_step_with_too_few_rows_left_is_skipped_with_a_reason():
    x = rows(5)
    x[1:] = np.nan
    aggregate = Pipeline(Krum(num_corrupted=1))(x)
    assert aggregate.vector is None
    assert aggregate.non_finite == (1, 2, 3, 4)
    assert "needs at least 3 rows; got 1" in aggregate.reason
    assert Pipeline(Krum(num_corrupted=1))(rows(4)).vector is None
    with pytest.raises(TooFewRowsError):
        Krum(num_corrupted=1)(x)


def test_rows_that_sum_to_infinity_are_finite():
    x = np.full((5, 70_000), 3e38, np.float32)
    aggregate = Pipeline(SignMajority(num_corrupted=1))(x)
    assert aggregate.non_finite == ()
    assert (aggregate.vector == 1).all()


def test_a_value_in_any_block_of_a_long_row_is_found():
    x = np.zeros((4, 200_000), np.float32)
    for column in (0, 65_535, 65_536, 199_999):
        y = x.copy()
        y[2, column] = np.nan
        for rule in (Mean(), Median(num_corrupted=1), Krum(num_corrupted=0), SignMajority(num_corrupted=1)):
            assert Pipeline(rule)(y).non_finite == (2,)


def test_bucketing_lowers_the_rows_and_not_the_corrupted_ones():
    x = rows(11)
    Pipeline(Recorder(num_corrupted=2), [Bucketing(bucket_size=2)])(x)
    assert Recorder.seen[0].shape == (6, 6)
    assert Recorder.seen[1] == 2
    assert Pipeline(TrimmedMean(num_corrupted=3), [Bucketing(bucket_size=2)])(x).vector is None
    with pytest.raises(TooFewRowsError, match="against 3 corrupted rows needs at least 7 rows; got 6"):
        Pipeline(TrimmedMean(num_corrupted=3), [Bucketing(bucket_size=2)]).check_rows(11)
    Pipeline(TrimmedMean(num_corrupted=2), [Bucketing(bucket_size=2)]).check_rows(9)


def test_a_pre_aggregator_is_told_how_many_corrupted_rows_are_left():
    x = rows(9)
    x[4] = np.nan
    aggregate = Pipeline(Median(num_corrupted=3), [NNM(num_corrupted=0), ARC()])(x)
    left = np.delete(x, 4, axis=0)
    np.testing.assert_array_equal(aggregate.vector, Median(num_corrupted=2)(ARC(num_corrupted=2)(NNM(num_corrupted=2)(left))))


def test_pre_aggregators_are_applied_in_their_order():
    x = rows(9) * 5
    one = Pipeline(Mean(), [StaticClipping(max_norm=1.0), Bucketing(bucket_size=3)])(x).vector
    other = Pipeline(Mean(), [Bucketing(bucket_size=3), StaticClipping(max_norm=1.0)])(x).vector
    np.testing.assert_allclose(one, Mean()(StaticClipping(max_norm=1.0)(x)), rtol=1e-5, atol=1e-7)
    assert not np.allclose(one, other)


def test_buckets_change_from_step_to_step_and_not_within_one():
    x = rows(9)
    chain = Pipeline(Median(num_corrupted=1), [Bucketing(bucket_size=3, seed=4)])
    np.testing.assert_array_equal(chain(x, step=1).vector, chain(x, step=1).vector)
    assert len({chain(x, step=step).vector.tobytes() for step in range(5)}) > 1
    other_seed = Pipeline(Median(num_corrupted=1), [Bucketing(bucket_size=3, seed=5)])
    assert not np.array_equal(other_seed(x, step=1).vector, chain(x, step=1).vector)


@pytest.mark.parametrize("rule", [MedianOfMeans(num_corrupted=1, bucket_size=3), DnC(num_corrupted=2, sample=2)])
def test_seeded_rules_draw_anew_at_each_step(rule):
    x = rows(9)
    assert len({rule(x, step=step).tobytes() for step in range(6)}) > 1


def test_median_of_means_is_bucketing_before_the_rule():
    x = rows(11)
    for rule in ("median", "geometric_median", "multi_krum"):
        chain = Pipeline(AGGREGATORS.get(rule)(num_corrupted=1), [Bucketing(bucket_size=2, seed=6)])
        whole = MedianOfMeans(num_corrupted=1, bucket_size=2, seed=6, outer=rule)
        np.testing.assert_allclose(whole(x, step=3), chain(x, step=3).vector, rtol=1e-6, atol=1e-7)
    assert MedianOfMeans(num_corrupted=2, bucket_size=3).minimum_rows == 13


def test_a_trusted_row_keeps_its_identity_when_others_are_dropped():
    x = rows(9)
    y = x.copy()
    y[1], y[8] = np.nan, np.inf
    left = np.delete(x, [1, 8], axis=0)
    expected = MoNNA(num_corrupted=2, reference=4)(left)
    assert not np.array_equal(MoNNA(num_corrupted=2, reference=5)(left), expected)
    np.testing.assert_array_equal(Pipeline(MoNNA(num_corrupted=4, reference=5))(y).vector, expected)


def test_a_trusted_row_is_found_by_its_number_when_rows_are_missing_and_others_are_dropped():
    x = rows(12)
    numbers = [0, 2, 3, 6, 7, 8, 10, 11]
    y = x[numbers]
    y[0], y[7] = np.nan, np.inf
    left = x[[2, 3, 6, 7, 8, 10]]
    expected = MoNNA(num_corrupted=1, reference=3)(left)  # number 7
    assert not np.array_equal(MoNNA(num_corrupted=1, reference=5)(left), expected)
    chain = Pipeline(MoNNA(num_corrupted=3, reference=7), [ARC()])
    direct = Pipeline(MoNNA(num_corrupted=1, reference=3), [ARC()])
    np.testing.assert_array_equal(chain(y, numbers=numbers).vector, direct(left).vector)
    np.testing.assert_array_equal(Pipeline(MoNNA(num_corrupted=3, reference=7))(y, numbers=numbers).vector, expected)


def test_a_trusted_row_that_is_missing_skips_the_step():
    numbers = [0, 1, 2, 3, 4, 6, 7, 8, 9]
    chain = Pipeline(MoNNA(num_corrupted=1, reference=5))
    aggregate = chain(rows(9), numbers=numbers)
    assert aggregate.vector is None
    assert aggregate.reason == "MoNNA cannot do without its reference, row 5, which is missing"
    with pytest.raises(TooFewRowsError, match="row 5, which is missing"):
        chain.check_rows(9, numbers=numbers)
    chain.check_rows(3, numbers=[5, 8, 9])


def test_a_trusted_row_that_is_not_finite_is_named_by_its_number():
    x = rows(5)
    x[1] = np.nan
    aggregate = Pipeline(MoNNA(num_corrupted=1, reference=6))(x, numbers=[2, 6, 7, 8, 9])
    assert aggregate.vector is None
    assert aggregate.reason == "MoNNA cannot do without its reference, row 6, which is not finite"


def test_numbers_are_as_many_as_rows():
    with pytest.raises(ParameterError, match="got 3 of 9 rows"):
        Pipeline(Mean())(rows(9), numbers=[0, 1, 2])


def test_a_trusted_row_that_is_not_finite_skips_the_step():
    x = rows(9)
    x[5, 0] = np.nan
    aggregate = Pipeline(MoNNA(num_corrupted=3, reference=5))(x)
    assert aggregate.vector is None
    assert "cannot do without its reference, row 5" in aggregate.reason


def test_a_trusted_row_cannot_be_put_into_a_bucket():
    with pytest.raises(ParameterError, match="Bucketing merges rows"):
        Pipeline(MoNNA(num_corrupted=1), [Bucketing()])
    assert Pipeline(MoNNA(num_corrupted=1), [NNM()])(rows()).vector is not None


@pytest.mark.parametrize("rule", [CenteredClipping(num_corrupted=2, radius=0.5), ClippedClustering(num_corrupted=2)])
def test_a_memory_survives_the_loss_of_a_row_and_a_checkpoint(rule):
    x, y = rows(seed=1), rows(seed=2)
    x[3] = np.nan
    chain = Pipeline(rule)
    chain(x)
    saved = chain.state_dict()
    assert saved
    expected = chain(y).vector
    fresh = Pipeline(type(rule)(**({"radius": 0.5} if isinstance(rule, CenteredClipping) else {}), num_corrupted=2))
    assert not np.array_equal(Pipeline(fresh.rule)(y).vector, expected)
    fresh.load_state_dict(saved)
    np.testing.assert_array_equal(fresh(y).vector, expected)


def test_a_state_of_another_rule_is_refused():
    for rule in (Median(), CenteredClipping(), ClippedClustering()):
        with pytest.raises(CheckpointError, match="color"):
            rule.load_state_dict({"color": 1})


def test_centered_clipping_refuses_rows_of_another_length():
    rule = CenteredClipping(num_corrupted=1)
    rule(rows(5, 6))
    with pytest.raises(ParameterError, match="got 7 after 6"):
        rule(rows(5, 7))


def test_tensors_go_through_a_pipeline():
    x = torch.from_numpy(rows())
    aggregate = Pipeline(Median(num_corrupted=2), [NNM()])(x)
    assert isinstance(aggregate.vector, torch.Tensor)
    np.testing.assert_array_equal(aggregate.vector.numpy(), Pipeline(Median(num_corrupted=2), [NNM()])(x.numpy()).vector)


def test_signs_may_be_int8():
    x = np.array([[-1, 1, 0], [-1, 1, 1], [1, 1, 0]], np.int8)
    result = SignMajority(num_corrupted=1)(x)
    assert result.dtype == np.int8
    assert result.tolist() == [-1, 1, 1]
    many = np.ones((300, 1), np.int8)
    assert SignMajority(num_corrupted=1)(many).tolist() == [1]
    assert SignMajority(num_corrupted=1)(torch.from_numpy(x)).tolist() == [-1, 1, 1]


def test_a_pipeline_must_know_the_number_of_corrupted_rows_if_one_of_its_operations_uses_it():
    for rule, pre in ((Krum(), []), (Median(), [NNM()])):
        with pytest.raises(ParameterError, match="needs num_corrupted"):
            Pipeline(rule, pre)
    assert Pipeline(Median(2), [NNM()]).rule.num_corrupted == 2
    assert Pipeline(Median()).rule.num_corrupted == 0


def test_a_rule_of_ones_own_needs_nothing_but_two_methods():
    class First(Aggregator):
        @property
        def minimum_rows(self):
            return 1

        def _combine(self, rows):
            return rows[0].copy()

    x = rows()
    x[0] = np.nan
    np.testing.assert_array_equal(First(num_corrupted=1)(x), x[1])
    np.testing.assert_array_equal(Pipeline(First(num_corrupted=1))(x).vector, x[1])


def test_names_are_looked_up_and_a_misspelled_one_is_explained():
    assert AGGREGATORS.get("byzshield.aggregation.rules.krum:Krum") is Krum
    with pytest.raises(ConfigError, match="did you mean 'median'"):
        AGGREGATORS.get("medain")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CenteredClipping(radius=0.0), "radius"),
        (lambda: StaticClipping(max_norm=-1.0), "max_norm"),
        (lambda: Bucketing(bucket_size=0), "bucket_size"),
        (lambda: MedianOfMeans(bucket_size=0), "bucket_size"),
        (lambda: MoNNA(reference=-1), "reference"),
        (lambda: DnC(iterations=0), "iterations"),
        (lambda: DnC(seed=-1), "seed must not be negative; got -1"),
        (lambda: SignGuard(seed=-1), "seed must not be negative"),
        (lambda: MedianOfMeans(seed=-1), "seed must not be negative"),
        (lambda: Bucketing(seed=-1), "seed must not be negative"),
        (lambda: AGGREGATORS.get("multi_krum")(num_selected=0), "num_selected"),
        (lambda: AGGREGATORS.get("geometric_median")(smoothing=0.0), "smoothing"),
        (lambda: AGGREGATORS.get("sign_guard")(lower=2.0), "lower"),
        (lambda: AGGREGATORS.get("smea")(num_corrupted=12)(rows(40)), "max_subsets"),
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("rule", [Mean, Median, Krum, DnC, lambda **keys: CenteredClipping(radius=1.0, **keys)])
def test_gradients_are_combined_on_another_device_and_come_back(rule):
    """To the pipeline, cpu:0 is another device than the CPU, with the operations that GPUs have."""
    here, there = (Pipeline(rule(num_corrupted=2), [NNM()], device=device) for device in ("cpu", "cpu:0"))
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'copy'"):
        Pipeline(Recorder(num_corrupted=2), device="cpu:0")(rows())
    for step in (1, 2):
        x = rows(n=12, d=50, seed=step).astype(np.float32)
        x[3, 5] = np.nan
        expected, found = (pipeline(x, statistics=x[:, :2].clip(0), step=step) for pipeline in (here, there))
        assert isinstance(found.vector, np.ndarray)
        np.testing.assert_allclose(found.vector, expected.vector, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.statistics, expected.statistics)
        assert (found.non_finite, found.vector.dtype) == ((3,), np.float32)
        here.load_state_dict(there.state_dict())


@pytest.mark.parametrize(
    "pre",
    [[], [NNM()], [Bucketing(num_buckets=9)], [StaticClipping(max_norm=2.0)], [ARC(), NNM()]],
    ids=["none", "nnm", "bucketing", "clipping", "arc and nnm"],
)
@pytest.mark.parametrize("wrong", [[], [2, 7]], ids=["all finite", "two dropped"])
def test_what_is_combined_in_place_is_the_same_and_takes_no_second_matrix(pre, wrong):
    x = rows(n=12, d=200_000)
    x[wrong, 5] = np.nan
    pipeline = Pipeline(Median(num_corrupted=3), pre)
    expected = pipeline(x, numbers=range(12))
    buffer = np.concatenate([x, x], axis=1)[:, :200_000]  # rows that do not follow each other without a gap, as in a server
    pipeline(buffer[:, :1000].copy(), in_place=True)
    tracemalloc.start()
    aggregate = pipeline(buffer, numbers=range(12), in_place=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(aggregate.vector, expected.vector)
    assert aggregate.non_finite == expected.non_finite == tuple(wrong)
    assert peak < 3 * expected.vector.nbytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_leave_nothing_is_written_over_the_rows(dtype):
    x = rows().astype(dtype)
    x[3, 0] = np.inf
    before = x.copy()
    Pipeline(Median(num_corrupted=2), [NNM(), ARC()])(x)
    np.testing.assert_array_equal(x, before)
