"""Every registered attack, through every property that an attack must have."""

from typing import Any

import numpy as np
import pytest

from byzshield.attacks import ALIE, ATTACKS, Attack, Constant, FallOfEmpires, ReversedGradient, Situation
from byzshield.attacks.alie import z_max
from byzshield.errors import ParameterError
from byzshield.seeding import generator

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "alie": [{}, {"z": 1.0}, {"z": 0.5, "sign": 1}],
    "constant": [{}, {"value": 3.0}],
    "fall_of_empires": [{}, {"epsilon": 100.0}],
    "reversed_gradient": [{}, {"scale": 2.0}],
}
CASES = [(name, options) for name, examples in EXAMPLES.items() for options in examples]
POPULATION = np.random.default_rng(0).standard_normal((25, 40)).astype(np.float32)


def situation(step: int = 1) -> Situation:
    return Situation(step=step, num_rows=25, num_corrupted=3, rng=generator(0, "test", step))


def build(name: str, options: dict[str, Any]) -> tuple[Attack, np.ndarray]:
    attack = ATTACKS.get(name)(**options)
    return attack, POPULATION.copy() if attack.collusive else POPULATION[0].copy()


def test_every_registered_attack_has_examples() -> None:
    assert set(ATTACKS.names()) == set(EXAMPLES)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_forged_gradient_has_the_shape_and_type_of_a_true_one(name: str, options: dict[str, Any]) -> None:
    attack, known = build(name, options)
    forged = attack.forge(known, situation())
    assert forged.shape == (40,)
    assert forged.dtype == np.float32


@pytest.mark.parametrize(("name", "options"), CASES)
def test_accomplices_with_the_same_knowledge_forge_the_same_bytes(name: str, options: dict[str, Any]) -> None:
    attack, known = build(name, options)
    accomplice, _ = build(name, options)
    assert attack.forge(known, situation()).tobytes() == accomplice.forge(known, situation()).tobytes()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_an_attack_does_not_write_into_what_it_is_given(name: str, options: dict[str, Any]) -> None:
    attack, known = build(name, options)
    before = known.copy()
    attack.forge(known, situation())
    assert known.tobytes() == before.tobytes()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_forged_gradient_differs_from_the_true_one(name: str, options: dict[str, Any]) -> None:
    attack, known = build(name, options)
    assert not np.array_equal(attack.forge(known, situation()), known.mean(axis=0) if attack.collusive else known)


def test_reversed_gradient_by_hand() -> None:
    assert ReversedGradient(scale=2.0).forge(np.array([1, -3], np.float32), situation()).tolist() == [-2, 6]


def test_constant_by_hand() -> None:
    assert Constant(value=-100.0).forge(np.array([1, -3], np.float32), situation()).tolist() == [-100, -100]


def test_alie_by_hand() -> None:
    # Means 2 and 4, population deviations 1 and 0: 2 - 1.5 * 1, 4 - 1.5 * 0.
    gradients = np.array([[1, 4], [3, 4]], np.float32)
    assert ALIE(z=1.5).forge(gradients, situation()).tolist() == [0.5, 4]
    assert ALIE(z=1.5, sign=1).forge(gradients, situation()).tolist() == [3.5, 4]


def test_fall_of_empires_by_hand() -> None:
    assert FallOfEmpires(epsilon=0.5).forge(np.array([[1, 4], [3, 4]], np.float32), situation()).tolist() == [-1, -2]


def test_z_max_is_the_papers() -> None:
    # n = 50, m = 24: s = 26 - 24 = 2, Phi^-1(24 / 26) = 1.4261 (table of the normal distribution).
    assert z_max(50, 24) == pytest.approx(1.4261, abs=1e-4)
    assert z_max(25, 0) == 0.0
    assert z_max(25, 20) == z_max(25, 24)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *(("alie", {"z": z}, "z must be positive") for z in (0.0, -1.0, NAN, INFINITY, 1e39)),
        *(("alie", {"sign": sign}, "sign must be -1 or 1") for sign in (2, 0)),
        *(("fall_of_empires", {"epsilon": e}, "epsilon must be positive") for e in (0.0, -0.5, NAN, INFINITY, 1e39)),
        *(("reversed_gradient", {"scale": c}, "scale must be positive") for c in (0.0, -2.0, NAN, INFINITY, 1e39)),
        *(("constant", {"value": v}, "value must be between") for v in (NAN, INFINITY, -INFINITY, 1e39, -1e39)),
    ],
)
def test_an_attack_refuses_what_is_out_of_range(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ATTACKS.get(name)(**options)


@pytest.mark.parametrize("value", [0.0, -3.4e38, 3.4e38])
def test_a_constant_is_any_finite_number_of_float32(value: float) -> None:
    assert np.isfinite(Constant(value=value).forge(np.ones(2, np.float32), situation())).all()
