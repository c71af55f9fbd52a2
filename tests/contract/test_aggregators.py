"""Every registered rule and pre-aggregator goes through every property; a new one must be given an example here."""

import copy
import json
from functools import partial

import numpy as np
import pytest
import torch

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Pipeline, describe
from byzshield.config.schema import AggregationSection
from byzshield.errors import ParameterError, TooFewRowsError

# For each name: keywords of an example against 2 corrupted rows of 13, and which properties hold for it.
#   permutation: the order of the rows does not matter (a seeded rule draws by position; MoNNA trusts a position)
#   translation, scale: the result moves and grows with the rows
#   honest_range: each coordinate stays within the honest rows whatever the corrupted ones are
#   bounded: the result stays near the honest rows whatever the corrupted ones are
EVERY = {"permutation", "translation", "scale", "honest_range", "bounded"}
RULES = {
    "mean": ({}, {"permutation", "translation", "scale"}),
    "median": ({}, EVERY),
    "trimmed_mean": ({}, EVERY),
    "meamed": ({}, EVERY - {"honest_range"}),
    "phocas": ({}, EVERY - {"honest_range"}),
    "krum": ({}, EVERY - {"honest_range"}),
    "multi_krum": ({}, EVERY - {"honest_range"}),
    "bulyan": ({}, EVERY - {"honest_range"}),
    "bulyan_one_pass": ({}, EVERY - {"honest_range"}),
    "bulyan_byzshield": ({}, EVERY),
    "geometric_median": ({}, EVERY - {"honest_range"}),
    "mda": ({}, EVERY - {"honest_range"}),
    "smea": ({}, EVERY - {"honest_range"}),
    "caf": ({}, EVERY - {"honest_range"}),
    "monna": ({"reference": 4}, {"translation", "scale", "bounded"}),
    "centered_clipping": ({"radius": 3.0, "iterations": 3}, {"permutation", "bounded"}),
    "cge": ({}, {"permutation", "scale", "bounded"}),
    "sign_majority": ({}, {"permutation", "bounded"}),
    "median_of_means": ({"bucket_size": 2, "seed": 5}, {"translation", "scale", "bounded"}),
    "bucketed": ({"num_buckets": 2, "seed": 5}, {"translation", "scale", "bounded"}),
    "aksel": ({}, EVERY - {"honest_range"}),
    "dnc": ({"seed": 3}, EVERY - {"honest_range"}),
    "sign_guard": ({"seed": 3, "fraction": 0.5}, {"permutation", "scale", "bounded"}),
    "clipped_clustering": ({}, {"permutation", "scale", "bounded"}),
}
PRES = {
    "arc": {},
    "bucketing": {"bucket_size": 3, "seed": 1},
    "nnm": {},
    "static_clipping": {"max_norm": 2.0},
}
NUM_CORRUPTED = 2
ROWS = 13


class OnTensors:
    """Hands a rule's or a pre-aggregator's rows on as a torch tensor, as they would come from another device than the CPU."""

    def _combine(self, rows):
        return super()._combine(torch.from_numpy(rows)).numpy()

    def _transform(self, rows):
        return super()._transform(torch.from_numpy(rows)).numpy()


def make(kind, on_tensors, keywords):
    kind = type(kind.__name__, (OnTensors, kind), {}) if on_tensors else kind
    return kind(**{"num_corrupted": NUM_CORRUPTED, **keywords})


def rule(name, *, on_tensors=False, **changes):
    return make(AGGREGATORS.get(name), on_tensors, RULES[name][0] | changes)


def pre(name, *, on_tensors=False, **changes):
    return make(PRE_AGGREGATORS.get(name), on_tensors, PRES[name] | changes)


def having(quality):
    return sorted(name for name, (_, qualities) in RULES.items() if quality in qualities)


def rows(seed=0, *, n=ROWS, d=40, dtype=np.float64):
    return (np.random.default_rng(seed).standard_normal((n, d)) + 1.0).astype(dtype)


def test_every_registered_name_has_an_example_here():
    assert sorted(RULES) == AGGREGATORS.names()
    assert sorted(PRES) == PRE_AGGREGATORS.names()


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rule_keeps_kind_and_dtype_and_leaves_its_input_alone(name, dtype):
    x = rows(dtype=dtype)
    before = x.copy()
    x.flags.writeable = False
    result = rule(name)(x)
    assert isinstance(result, np.ndarray)
    assert result.shape == (40,)
    assert result.dtype == dtype
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(result, x)
    tensor = torch.from_numpy(before.copy())
    of_tensor = rule(name)(tensor)
    assert of_tensor.dtype == tensor.dtype
    np.testing.assert_array_equal(of_tensor.numpy(), result)
    np.testing.assert_array_equal(tensor.numpy(), before)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_operations_for_devices_agree_with_the_compiled_ones(name, dtype):
    x = rows(1, d=101, dtype=dtype)
    x[:2] *= 1e4
    np.testing.assert_allclose(
        rule(name, on_tensors=True)(x), rule(name)(x), rtol=2e-6 if dtype == np.float32 else 1e-9, atol=1e-7
    )


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_layout_of_the_rows_in_memory_does_not_matter(name):
    x = rows(2, dtype=np.float32)
    expected = rule(name)(x)
    spread = np.zeros((ROWS * 2, 90), np.float32)
    spread[::2, 5:45] = x
    backwards = np.ascontiguousarray(x[::-1])[::-1]
    for same in (np.asfortranarray(x), spread[::2, 5:45], backwards):
        np.testing.assert_array_equal(rule(name)(same), expected)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_call_repeated_gives_the_same_bits(name):
    x = rows(3)
    np.testing.assert_array_equal(rule(name)(x, step=4), rule(name)(x, step=4))


@pytest.mark.parametrize("name", having("permutation"))
def test_the_order_of_the_rows_does_not_matter(name):
    x = rows(4)
    x[:2] = 7.0
    order = np.random.default_rng(8).permutation(ROWS)
    np.testing.assert_allclose(rule(name)(x[order]), rule(name)(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", having("translation"))
def test_the_result_moves_with_the_rows(name):
    x = rows(5)
    shift = np.linspace(-3, 3, 40)
    np.testing.assert_allclose(rule(name)(x + shift), rule(name)(x) + shift, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", having("scale"))
@pytest.mark.parametrize("factor", [2.0**40, 2.0**-40, 2.0**700, 2.0**-700])
def test_the_result_grows_with_the_rows(name, factor):
    x = rows(6)
    np.testing.assert_allclose(rule(name)(x * factor) / factor, rule(name)(x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", having("honest_range"))
@pytest.mark.parametrize("bad", [3e38, -3e38, 1e20, 0.0, 1e-45])
def test_each_coordinate_stays_within_the_honest_rows(name, bad):
    x = rows(7, dtype=np.float32)
    honest = x[2:]
    x[:2] = bad
    result = rule(name)(x)
    assert (result >= honest.min(axis=0)).all()
    assert (result <= honest.max(axis=0)).all()


@pytest.mark.parametrize("name", having("bounded"))
@pytest.mark.parametrize("bad", [3e38, -3e38, 1e20, -50.0])
def test_corrupted_rows_cannot_carry_the_result_away(name, bad):
    x = rows(8, dtype=np.float32)
    honest = x[2:].astype(np.float64)
    x[:2] = bad
    result = rule(name)(x).astype(np.float64)
    radius = np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
    limit = np.linalg.norm(honest.mean(axis=0)) + radius if name in ("centered_clipping", "sign_majority") else 1.5 * radius
    assert np.isfinite(result).all()
    assert np.linalg.norm(result - honest.mean(axis=0)) <= limit


def test_the_mean_is_carried_away():
    x = rows(8, dtype=np.float32)
    x[:2] = 1e20
    assert np.abs(rule("mean")(x)).min() > 1e19


@pytest.mark.parametrize("name", sorted(RULES))
def test_rows_that_are_all_equal_come_out(name):
    x = np.tile(np.linspace(-0.5, 0.5, 40, dtype=np.float32), (ROWS, 1))
    expected = np.sign(x[0]) if name == "sign_majority" else x[0]
    np.testing.assert_allclose(rule(name)(x), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize(
    ("value", "dtype"),
    [(0.0, np.float32), (1e-45, np.float32), (3e38, np.float32), (1e20, np.float32), (1.7e308, np.float64), (5e-324, np.float64)],
)
def test_extreme_rows_neither_overflow_nor_raise(name, value, dtype):
    x = np.full((ROWS, 40), value, dtype)
    for _ in range(3):
        result = rule(name)(x)
        assert np.isfinite(result).all()
        assert (np.abs(result) <= (1 if name == "sign_majority" else value * (1 + 1e-12))).all()
        assert np.isfinite(rule(name, on_tensors=True)(x)).all()
        x = -x
        x[::3] *= -1


@pytest.mark.parametrize("name", having("translation"))
def test_a_huge_common_mean_does_not_change_the_choice(name):
    x = (rows(9) * 64).round().astype(np.float32) / 64  # multiples of 1/64 stay exact beside 2**16
    shifted = rule(name)(x + np.float32(2.0**16)) - np.float32(2.0**16)
    np.testing.assert_allclose(shifted, rule(name)(x), atol=2.0**-6)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_runs_at_its_minimum_and_refuses_one_row_fewer(name):
    least = max(1, rule(name).minimum_rows)
    assert rule(name)(rows(10, n=least)).shape == (40,)
    with pytest.raises(TooFewRowsError, match=f"needs at least {least} rows; got {least - 1}"):
        rule(name)(rows(10, n=least - 1))


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_non_finite_row_is_as_good_as_absent(name, poison, dtype):
    x = rows(11, n=ROWS, dtype=dtype)
    without = np.delete(x, 6, axis=0)
    x[6, 17] = poison
    before = x.copy()
    expected = rule(name, num_corrupted=NUM_CORRUPTED - 1)(without)
    np.testing.assert_array_equal(rule(name)(x), expected)
    aggregate = Pipeline(rule(name))(x)
    np.testing.assert_array_equal(aggregate.vector, expected)
    assert aggregate.non_finite == (6,)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_state_that_is_saved_and_loaded_continues_the_same(name):
    whole, first, second = rule(name), rule(name), rule(name)
    whole(rows(12), step=0)
    first(rows(12), step=0)
    saved = copy.deepcopy(first.state_dict())
    first(rows(99), step=1)
    second.load_state_dict(saved)
    np.testing.assert_array_equal(second(rows(13), step=1), whole(rows(13), step=1))
    assert set(second.state_dict()) == set(saved)


@pytest.mark.parametrize("name", sorted(RULES) + sorted(PRES))
def test_a_description_is_complete_and_plain(name):
    facts = describe(name)
    assert facts["name"] == name
    for key in ("class", "summary", "minimum", "breakdown", "cost", "paper"):
        assert facts[key], key
    assert json.loads(json.dumps(facts)) == facts
    assert "num_corrupted" in [parameter["name"] for parameter in facts["parameters"]]


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_run_file_can_set_every_keyword(name):
    assert not AggregationSection.known_keys() & AGGREGATORS.keywords(name).keys()


@pytest.mark.parametrize("name", sorted(RULES) + sorted(PRES))
def test_a_negative_number_of_corrupted_rows_or_a_share_of_them_is_refused(name):
    kind = AGGREGATORS if name in RULES else PRE_AGGREGATORS
    with pytest.raises(ParameterError, match="num_corrupted must not be negative; got -1"):
        kind.get(name)(num_corrupted=-1)
    with pytest.raises(ParameterError, match=r"num_corrupted must be a whole number; got 0\.2"):
        kind.get(name)(num_corrupted=0.2)


@pytest.mark.parametrize(("kind", "name"), [(rule, name) for name in RULES] + [(pre, name) for name in PRES])
def test_a_list_of_vectors_is_a_matrix(kind, name):
    matrix = rows(dtype=np.float32)
    expected = kind(name)(matrix)
    assert kind(name)(list(matrix)).tobytes() == expected.tobytes()
    assert kind(name)(tuple(torch.from_numpy(matrix))).numpy().tobytes() == expected.tobytes()


@pytest.mark.parametrize(("kind", "name"), [(rule, name) for name in RULES] + [(pre, name) for name in PRES])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_worked_on_as_float32_and_comes_back(kind, name, dtype):
    halves = torch.from_numpy(rows(dtype=np.float32)).to(dtype)
    result = kind(name)(halves)
    assert result.dtype == dtype
    assert torch.equal(result, kind(name)(halves.float()).to(dtype))
    if dtype is torch.float16:
        assert np.array_equal(kind(name)(halves.numpy()), result.numpy())


@pytest.mark.parametrize(
    ("registry", "name"), [(AGGREGATORS, name) for name in RULES] + [(PRE_AGGREGATORS, name) for name in PRES]
)
def test_a_call_without_a_number_of_corrupted_rows_that_matters_is_refused(registry, name):
    keywords = {**PRES, **{name: example for name, (example, _) in RULES.items()}}[name]
    make, values = partial(registry.get(name), **keywords), rows()
    against = [make().against(count)(values).tobytes() for count in (0, 1, 2)]
    operation = make()
    if operation.uses_num_corrupted:
        assert len(set(against)) > 1 or name in {"krum", "caf"}  # which may choose the same rows, and do so here
        with pytest.raises(ParameterError, match=f"{type(operation).__name__} needs num_corrupted"):
            operation(values)
    else:
        assert {operation(values).tobytes(), *against} == {against[0]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "must hold vectors .* got 0, shapes"),
        ([np.zeros(3), np.zeros(4)], r"got 2, shapes \[\(3,\), \(4,\)\]"),
        ([np.zeros((2, 3))] * 4, r"shapes \[\(2, 3\)\]"),
        ([np.zeros(3), torch.zeros(3)], "of one length and kind"),
        ([1.0, 2.0], "must hold vectors"),
        ("rows", "a numpy array, a torch tensor or a list of vectors; got str"),
        (np.zeros(3), r"\[n, d\] matrix .* got shape \(3,\), float64"),
        (np.zeros((9, 3), dtype=np.int64), "float32 or float64; got shape .* int64"),
        (np.zeros((9, 3), dtype=np.complex64), "complex64"),
    ],
)
def test_what_is_no_matrix_of_floats_is_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        rule("median")(wrong)


@pytest.mark.parametrize("name", sorted(PRES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pre_aggregator_makes_new_rows_and_leaves_its_input_alone(name, dtype):
    x = rows(14, dtype=dtype)
    before = x.copy()
    x.flags.writeable = False
    result = pre(name)(x)
    assert result.dtype == dtype
    assert result.shape == (pre(name).rows_after(ROWS), 40)
    assert not np.shares_memory(result, x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(pre(name, on_tensors=True)(before), result, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(pre(name)(torch.from_numpy(before)).numpy(), result)


@pytest.mark.parametrize("name", sorted(PRES))
def test_a_pre_aggregator_leaves_out_a_non_finite_row(name):
    x = rows(15)
    without = np.delete(x, 3, axis=0)
    x[3, 0] = np.nan
    np.testing.assert_array_equal(pre(name)(x), pre(name, num_corrupted=NUM_CORRUPTED - 1)(without))


@pytest.mark.parametrize("name", sorted(PRES))
@pytest.mark.parametrize("bad", [3e38, 1e20])
def test_a_robust_rule_behind_a_pre_aggregator_stays_near_the_honest_rows(name, bad):
    x = rows(16, n=15, dtype=np.float32)
    honest = x[2:].astype(np.float64)
    x[:2] = bad
    aggregate = Pipeline(rule("median"), [pre(name)])(x)
    assert (
        np.linalg.norm(aggregate.vector - honest.mean(axis=0)) <= 2 * np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
    )
