"""What `import byzshield as bz` offers."""

import numpy as np
import pytest
import torch

import byzshield as bz
from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS
from byzshield.attacks import ATTACKS
from byzshield.attacks.message_attack import MessageAttack
from byzshield.errors import ParameterError
from byzshield.placement import PLACEMENTS

ROWS = np.array([[0.0, 4.0], [1.0, 5.0], [2.0, 9.0], [3.0, 6.0]])


def test_every_name_is_there_and_no_other() -> None:
    for name in bz.__all__:
        assert getattr(bz, name) is not None
        assert name in dir(bz)
    with pytest.raises(AttributeError, match="no attribute 'Medan'"):
        bz.Medan  # noqa: B018


@pytest.mark.parametrize("registry", [AGGREGATORS, PRE_AGGREGATORS, ATTACKS, PLACEMENTS], ids=lambda registry: registry.kind)
def test_whatever_is_registered_has_its_name_here(registry: bz.Any) -> None:
    attacks_on_the_protocol = {
        entry for _, entry in registry.items() if isinstance(entry, type) and issubclass(entry, MessageAttack)
    }
    here = {getattr(bz, name) for name in bz.__all__}
    assert {entry for _, entry in registry.items()} - attacks_on_the_protocol <= here


def test_rules_take_the_number_of_corrupted_rows_first() -> None:
    assert bz.TrimmedMean(1)(ROWS).tolist() == [1.5, 5.5]
    assert bz.Median()(torch.from_numpy(ROWS)).tolist() == [1.5, 5.5]
    assert bz.StaticClipping(max_norm=2.0)(ROWS)[0].tolist() == [0.0, 2.0]


def test_an_object_shows_the_call_that_makes_it() -> None:
    for made in (
        bz.Krum(2),
        bz.CenteredClipping(radius=2.0),
        bz.Bucketing(bucket_size=4),
        bz.ALIE(z=1.5),
        bz.Constant(value=3.0),
    ):
        assert repr(eval(repr(made), vars(bz))) == repr(made)
    assert repr(bz.CenteredClipping(radius=2.0)) == "CenteredClipping(num_corrupted=None, radius=2.0, iterations=1)"
    assert repr(bz.MedianOfMeans(1, num_buckets=3)) == (
        "MedianOfMeans(num_corrupted=1, bucket_size=None, num_buckets=3, seed=0, outer=Median(num_corrupted=1))"
    )


def test_an_attack_forges_one_row_of_the_kind_of_the_honest_ones() -> None:
    expected = ROWS.mean(axis=0) - 1.5 * ROWS.std(axis=0)
    assert np.allclose(bz.ALIE(z=1.5)(ROWS), expected)
    assert np.allclose(bz.ALIE(z=1.5)(list(torch.from_numpy(ROWS))).numpy(), expected)
    half = bz.ALIE(z=1.5)(torch.from_numpy(ROWS).bfloat16())
    assert (half.dtype, half.shape) == (torch.bfloat16, (2,))
    assert bz.FallOfEmpires(epsilon=2.0)(ROWS).tolist() == [-3.0, -12.0]
    assert bz.ReversedGradient(scale=2.0)(ROWS).tolist() == [-3.0, -12.0]
    assert bz.Constant(value=-7.0)(ROWS).tolist() == [-7.0, -7.0]


def test_the_number_of_forged_rows_is_never_silently_zero() -> None:
    attack = bz.ALIE()
    with pytest.raises(ParameterError, match=r"ALIE\(z=None, sign=-1\) needs num_corrupted"):
        attack(ROWS)
    # n = 50 rows of which m = 24 are forged: Baruch et al. give z = 1.43 (s = 2, 24 / 26).
    honest = np.random.default_rng(0).normal(size=(26, 3))
    shift = (honest.mean(axis=0) - attack(honest, 24)) / honest.std(axis=0)
    assert np.allclose(shift, 1.4261, atol=1e-4)
    with pytest.raises(ParameterError, match="must not be negative; got -1"):
        bz.Constant()(ROWS, -1)
    with pytest.raises(ParameterError, match="at least 1 honest row"):
        bz.Constant()(ROWS[:0])


def test_placements_and_what_is_asked_of_them_take_their_sizes_in_order() -> None:
    assert bz.mols(5, 3).num_workers == 15
    assert bz.frc(15, 3).num_files == 5
    assert bz.ramanujan1(5, 3).num_files == 25
    assert bz.ramanujan2(m=5, replication=5).num_workers == 25
    assert bz.baseline(7).num_files == 7
    assert bz.worst_case(bz.mols(5, 3), 3).c_max == 3
    plan = bz.plan(workers=25, byzantine=5)
    assert plan.recommended is not None
    assert plan.recommended.worst.c_max == 2
