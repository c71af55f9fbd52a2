"""Every registered attack, through every property that an attack must have."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from byzshield.aggregation import Median
from byzshield.attacks import ALIE, ATTACKS, Attack, Constant, Defense, FallOfEmpires, Memory, ReversedGradient, Situation
from byzshield.attacks.alie import z_max
from byzshield.attacks.message_attack import MessageAttack
from byzshield.choices import Compression
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, cyclic, frc, mols
from byzshield.seeding import generator
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, messages

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "agr_tailored": [{}, {"perturbation": "unit", "judge": "selection"}, {"perturbation": "sign", "judge": "distance"}],
    "alie": [{}, {"z": 1.0}, {"z": 0.5, "sign": 1}, {"z": "optimized"}, {"z": "optimized_byzfl", "sign": 1}],
    "anti_cge": [{}, {"shortest_twice": False}],
    "constant": [{}, {"value": 3.0}],
    "fall_of_empires": [
        {},
        {"epsilon": 100.0},
        {"weighting": "honest_copies"},
        {"epsilon": "optimized"},
        {"epsilon": "optimized_byzfl"},
    ],
    "fang": [{}, {"b": 10.0}, {"version": "partial"}],
    "fang_krum": [{}, {"start": "unsquared"}, {"start": "theorem"}],
    "label_flip": [{}, {"sent": "mean", "num_classes": 3}],
    "mimic": [
        {},
        {"warmup": 0, "row": 3},
        {"warmup": 10, "afterwards": "choose", "target": "smallest"},
        {"warmup": 2, "meanwhile": "row", "afterwards": "choose", "target": "farthest"},
    ],
    "min_max": [{}, {"perturbation": "unit"}, {"perturbation": "sign"}],
    "min_sum": [{}, {"perturbation": "unit", "bound": "max"}, {"perturbation": "sign"}],
    "poisoned_fl": [{}, {"check_every": 1, "decay": 0.0, "least": 0.0, "learning_rate": 0.1}],
    "reversed_gradient": [{}, {"scale": 2.0}],
    "rop": [{}, {"z": 2.0, "angle": 180.0, "blend": 0.5, "location": 0.0, "learning_rate": 0.1}],
    # attacks on the protocol
    "bad_compression": [{}],
    "changing_payload": [{}],
    "death": [{}],
    "digest_payload_mismatch": [{}],
    "double_vote": [{}],
    "garbage": [{}],
    "impersonation": [{}, {"victim": 4}],
    "last_bit_flip": [{}],
    "lateness": [{}, {"delay": 3}],
    "no_delivery": [{}],
    "repetition": [{}],
    "replay": [{}],
    "silence": [{}],
    "truncation": [{}],
    "wrong_digest": [{}],
    "wrong_dtype": [{}],
    "wrong_length": [{}, {"difference": 7}, {"difference": -100_000}],
    "wrong_step": [{}, {"offset": 5}, {"offset": -(2**31)}, {"offset": 2**40}],
}
CASES = [(name, options) for name, examples in EXAMPLES.items() for options in examples]
ON_MESSAGES = [(name, options) for name, options in CASES if issubclass(ATTACKS.get(name), MessageAttack)]
ON_GRADIENTS = [case for case in CASES if case not in ON_MESSAGES]
ON_SAMPLES = [case for case in CASES if ATTACKS.get(case[0])().poisons]
REMEMBERING = [(name, options) for name, options in CASES if ATTACKS.get(name)(**options).remembers]
POPULATION = np.random.default_rng(0).standard_normal((25, 40)).astype(np.float32)


def situation(step: int = 1, memory: Memory | None = None) -> Situation:
    corrupted = (2, 7, 11)
    parameters = np.random.default_rng(step).standard_normal(40).astype(np.float32)
    return Situation(
        step=step,
        num_rows=25,
        num_corrupted=3,
        corrupted=corrupted,
        defense=Defense(Median(), POPULATION.copy(), corrupted=corrupted, step=step),
        parameters=parameters,
        memory={} if memory is None else memory,
        rng=generator(0, "test", step),
    )


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


@pytest.mark.parametrize(("name", "options"), REMEMBERING)
def test_a_memory_is_all_that_an_attack_goes_on_from_and_is_never_changed_in_place(name: str, options: dict[str, Any]) -> None:
    attack, known = build(name, options)
    assert attack.collusive
    memory: Memory = {}
    for step in range(1, 6):
        before = {key: array.copy() for key, array in memory.items()}
        given = dict(memory)
        again, _ = build(name, options)
        forged = attack.forge(known, situation(step, memory))
        assert forged.tobytes() == again.forge(known, situation(step, {**before})).tobytes()
        assert all(np.array_equal(given[key], before[key]) for key in before)
        assert all(isinstance(array, np.ndarray) and array.dtype != object for array in memory.values())
        known = known[::-1].copy()


@pytest.mark.parametrize(("name", "options"), [case for case in ON_GRADIENTS if case not in ON_SAMPLES])
def test_a_forged_gradient_differs_from_the_true_one(name: str, options: dict[str, Any]) -> None:
    attack, known = build(name, options)
    assert not np.array_equal(attack.forge(known, situation()), known.mean(axis=0) if attack.collusive else known)


def exchanges(step: int, vector: np.ndarray, compression: Compression = "off") -> list[list[Frame]]:
    """What worker 3 sends for file 2: a vote and three chunks in the digest exchange, the chunks alone in the full one."""
    layout = ChunkLayout(vector.size, vector.size * 2 // 5)
    digests = messages.digests(3, step, 2, layout.digests(vector))
    chunks = messages.gradient_chunks(3, step, 2, vector, layout=layout, encoder=ArrayEncoder(compression))
    return [[digests], chunks]


def sent(attack: MessageAttack, step: int, known: np.ndarray, compression: Compression = "off") -> list[list[bytes]]:
    """What worker 3 sends for each part of `exchanges`."""
    vector = attack.forge(known, situation(step))
    replies = [attack.tamper(frames, worker=3, step=step) for frames in exchanges(step, vector, compression)]
    return [[each.encoded if isinstance(each, Frame) else each.data for each in reply] for reply in replies]


def honest(step: int, vector: np.ndarray, compression: Compression = "off") -> list[list[bytes]]:
    return [[frame.encoded for frame in frames] for frames in exchanges(step, vector, compression)]


@pytest.mark.parametrize("compression", ["off", "on"])
@pytest.mark.parametrize(("name", "options"), ON_MESSAGES)
def test_a_message_attack_acts_in_its_steps_and_in_no_other(name: str, options: dict[str, Any], compression: Compression) -> None:
    attack = ATTACKS.get(name)(at_steps=[3], **options)
    before, now = np.ones(400, np.float32), np.full(400, 2, np.float32)
    assert exchanges(3, now, compression)[1][0].compressed == (compression == "on")
    assert sent(attack, 2, before, compression) == honest(2, before, compression)
    assert sent(attack, 3, now, compression) != honest(3, now, compression)


@pytest.mark.parametrize(("name", "options"), ON_MESSAGES)
def test_a_message_attack_without_steps_acts_in_all(name: str, options: dict[str, Any]) -> None:
    attack = ATTACKS.get(name)(**options)
    differs = [sent(attack, step, row) != honest(step, row) for step, row in enumerate(POPULATION[:4], start=1)]
    assert differs == [name != "replay", True, True, True]  # which has nothing to send again in the first step


@pytest.mark.parametrize(("name", "options"), ON_MESSAGES)
def test_a_message_attack_leaves_the_list_that_it_is_given(name: str, options: dict[str, Any]) -> None:
    attack = ATTACKS.get(name)(**options)
    for frames in exchanges(1, POPULATION[0]):
        before = list(frames)
        attack.tamper(frames, worker=3, step=1)
        assert frames == before


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


def among(*honest_copies: int) -> Situation:
    return Situation(step=1, num_rows=25, num_corrupted=3, rng=generator(0, "test", 1), honest_copies=honest_copies)


def test_fall_of_empires_over_honest_copies_by_hand() -> None:
    # Two honest copies of the first file and one of the second; the third is wholly in Byzantine hands.
    gradients = np.array([[1, 4], [4, 7], [1000, 1000]], np.float32)
    attack = FallOfEmpires(epsilon=2.0, weighting="honest_copies")
    assert attack.forge(gradients, among(2, 1, 0)).tolist() == [-4, -10]
    assert FallOfEmpires(epsilon=2.0).forge(gradients, among(2, 1, 0)).tolist() == [-670, -674]


def test_without_any_honest_copy_fall_of_empires_counts_each_file_once() -> None:
    gradients = np.array([[1, 4], [3, 8]], np.float32)
    attack = FallOfEmpires(epsilon=1.0, weighting="honest_copies")
    assert attack.forge(gradients, among(0, 0)).tolist() == [-2, -6]
    assert attack.forge(gradients, situation()).tolist() == [-2, -6]


def copies_of(assignment: Assignment, rows: np.ndarray, workers: Iterable[int]) -> np.ndarray:
    """The gradients that these workers hold, float64, one row a copy."""
    return np.concatenate([rows[assignment.files_of[worker]] for worker in workers]).astype(np.float64)


@pytest.mark.parametrize(
    "assignment", [mols(load=5, replication=3), frc(num_workers=25, replication=5), cyclic(num_workers=25, replication=5)]
)
def test_published_alie_over_all_copies_is_ours_over_the_files(assignment: Assignment) -> None:
    rows = (1000 + 50 * np.random.default_rng(1).standard_normal((assignment.num_files, 40))).astype(np.float32)
    copies = copies_of(assignment, rows, range(assignment.num_workers))
    published = copies.mean(axis=0) + 1.0 * copies.std(axis=0, ddof=0)
    assert np.array_equal(ALIE(z=1.0, sign=1).forge(rows, situation()), published.astype(np.float32))
    # Not so over the honest copies alone, of which the files have unequally many.
    honest = copies_of(assignment, rows, range(3, assignment.num_workers))
    assert not np.allclose(honest.mean(axis=0) + honest.std(axis=0), published, rtol=1e-6)


def test_published_fall_of_empires_over_the_copies_of_honest_workers_is_ours_over_weighted_files() -> None:
    assignment, byzantine = mols(load=5, replication=3), (0, 1, 5, 6, 10)
    rows = np.random.default_rng(2).standard_normal((25, 40)).astype(np.float32)
    published = -100 * copies_of(assignment, rows, set(range(15)) - set(byzantine)).mean(axis=0)
    holders = 3 - np.isin(assignment.workers_of, byzantine).sum(axis=1)
    attack = FallOfEmpires(epsilon=100.0, weighting="honest_copies")
    assert np.allclose(attack.forge(rows, among(*holders.tolist())), published, rtol=1e-6)
    assert not np.allclose(FallOfEmpires(epsilon=100.0).forge(rows, situation()), published, rtol=1e-2)


def test_the_defaults_of_the_local_attacks_are_the_published_ones() -> None:
    own = np.array([1, -3], np.float32)
    assert ReversedGradient().forge(own, situation()).tolist() == [-100, 300]
    assert Constant().forge(own, situation()).tolist() == [-100, -100]


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
        ("alie", {"z": "best"}, "z must be one of optimized, optimized_byzfl; got 'best'"),
        ("fall_of_empires", {"epsilon": "best"}, "epsilon must be one of optimized, optimized_byzfl"),
        *(("fang", {"b": b}, "b must be finite and greater than 1") for b in (1.0, 0.5, -2.0, NAN, INFINITY)),
        ("fang", {"version": "own"}, "version must be one of full, partial"),
        ("fang_krum", {"start": "0"}, "start must be one of squared, unsquared, theorem"),
        ("agr_tailored", {"judge": "krum"}, "judge must be one of distance, selection"),
        ("agr_tailored", {"perturbation": "mean"}, "perturbation must be one of std, unit, sign"),
        *(("alie", {"sign": sign}, "sign must be -1 or 1") for sign in (2, 0)),
        *(("fall_of_empires", {"epsilon": e}, "epsilon must be positive") for e in (0.0, -0.5, NAN, INFINITY, 1e39)),
        ("fall_of_empires", {"weighting": "all"}, "weighting must be one of files, honest_copies"),
        *((name, {"perturbation": "mean"}, "perturbation must be one of std, unit, sign") for name in ("min_max", "min_sum")),
        ("min_sum", {"bound": "mean"}, "bound must be one of min, max"),
        *(("mimic", {key: -1}, f"{key} must be at least 0; got -1") for key in ("warmup", "row")),
        ("mimic", {"meanwhile": "wait"}, "meanwhile must be one of choose, row"),
        ("mimic", {"afterwards": "stop"}, "afterwards must be one of keep, choose"),
        ("mimic", {"target": "mean"}, "target must be one of largest, smallest, farthest"),
        ("label_flip", {"sent": "all"}, "sent must be one of own, mean"),
        ("label_flip", {"num_classes": 1}, "num_classes must be at least 2; got 1"),
        *(("rop", {key: x}, f"{key} must be 0 to 1") for key in ("blend", "location") for x in (-0.1, 1.1, NAN)),
        *(("rop", {key: x}, f"{key} must be positive") for key in ("z", "learning_rate") for x in (0.0, NAN)),
        *(("rop", {"angle": a}, "angle must be a number of degrees") for a in (NAN, INFINITY)),
        *(("poisoned_fl", {key: x}, f"{key} must be positive") for key in ("c", "learning_rate") for x in (0.0, NAN)),
        *(("poisoned_fl", {"decay": d}, "decay must be 0 to 1") for d in (-0.1, 1.1, NAN)),
        ("poisoned_fl", {"check_every": 0}, "check_every must be at least 1"),
        *(("poisoned_fl", {"least": x}, "least must be at least 0") for x in (-1.0, NAN)),
        *(("reversed_gradient", {"scale": c}, "scale must be positive") for c in (0.0, -2.0, NAN, INFINITY, 1e39)),
        *((name, {"at_steps": [2, 0]}, "at_steps must be steps from 1; got .2, 0") for name, _ in ON_MESSAGES),
        *(("wrong_length", {"difference": d}, "difference must be between") for d in (0, 2**20 + 1, -(2**20) - 1)),
        *(("lateness", {"delay": d}, "delay must be 1 to 10 steps") for d in (0, -1, 11)),
        *(("impersonation", {"victim": v}, "victim must be a worker from 0") for v in (-1, 2**16)),
        ("wrong_step", {"offset": 0}, "offset must not be 0"),
        *(("constant", {"value": v}, "value must be between") for v in (NAN, INFINITY, -INFINITY, 1e39, -1e39)),
    ],
)
def test_an_attack_refuses_what_is_out_of_range(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ATTACKS.get(name)(**options)


@pytest.mark.parametrize("value", [0.0, -3.4e38, 3.4e38])
def test_a_constant_is_any_finite_number_of_float32(value: float) -> None:
    assert np.isfinite(Constant(value=value).forge(np.ones(2, np.float32), situation())).all()
