"""How aggregates move the parameters: accumulated, clipped, in groups, and over a checkpoint under the same or other settings."""

import io
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.arrays import Float32
from byzshield.config import from_table
from byzshield.models import FlatModel
from byzshield.runtime.optimizers import build_optimizer
from byzshield.runtime.schedules import build_scheduler
from byzshield.training import TrainingState

WARM_UP = [{"name": "LinearLR", "steps": 2, "start_factor": 0.5}, {"name": "CosineAnnealingLR", "T_max": 4}]
SEQUENCE: dict[str, Any] = {"name": "sequence", "parts": WARM_UP}


def state_of(module: torch.nn.Module | None = None, *, schedule: dict[str, Any] | None = None, **keys: Any) -> TrainingState:
    """The state of a run whose [optimizer] has these keys."""
    config = from_table({"optimizer": {"lr": 1.0, **keys}, "schedule": schedule or {}})
    torch.manual_seed(0)
    model = FlatModel(module or torch.nn.Linear(3, 2))
    optimizer = build_optimizer(config, model)
    return TrainingState(
        model=model,
        optimizer=optimizer,
        scheduler=build_scheduler(config, optimizer, updates=100),
        accumulate=config.optimizer.accumulate,
        clip_norm=config.optimizer.clip_norm,
    )


def gradients(state: TrainingState, steps: int) -> list[Float32]:
    return list(np.random.default_rng(1).standard_normal((steps, state.model.num_parameters)).astype(np.float32))


def apply(state: TrainingState, gradient: Float32) -> Any:
    return state.apply(gradient, np.zeros(state.model.num_statistics, np.float32))


def weights(state: TrainingState) -> bytes:
    return state.model.parameter_vector().tobytes()


def stored(state: TrainingState) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


class TestAccumulation:
    def test_the_mean_of_several_aggregates_makes_one_update(self) -> None:
        accumulated, by_hand = state_of(accumulate=3, momentum=0.9), state_of(momentum=0.9)
        given = gradients(accumulated, 6)
        for first in (0, 3):
            before = weights(accumulated)
            for gradient in given[first : first + 2]:
                assert not apply(accumulated, gradient).updated
                assert weights(accumulated) == before
            assert apply(accumulated, given[first + 2]).updated
            apply(by_hand, (given[first] + given[first + 1] + given[first + 2]) / np.float32(3))
            assert weights(accumulated) == weights(by_hand)

    def test_an_aggregate_counts_as_it_was_though_its_memory_is_written_to(self) -> None:
        kept, reused = state_of(accumulate=2), state_of(accumulate=2)
        buffer = np.empty(kept.model.num_parameters, np.float32)
        for gradient in gradients(kept, 2):
            apply(kept, gradient)
            buffer[:] = gradient
            apply(reused, buffer)
            buffer[:] = np.nan
        assert weights(kept) == weights(reused)

    def test_an_aggregate_is_not_changed(self) -> None:
        for state in (state_of(accumulate=2, clip_norm=0.1), state_of(clip_norm=0.1)):
            given = gradients(state, 2)
            for gradient in given:
                apply(state, gradient)
            assert all(map(np.array_equal, given, gradients(state, 2)))

    def test_the_schedule_counts_updates(self) -> None:
        state, rates = state_of(accumulate=2, schedule=SEQUENCE), []
        for gradient in gradients(state, 8):
            rates.append(state.learning_rate)
            apply(state, gradient)
        assert rates == pytest.approx([0.5, 0.5, 0.75, 0.75, 1.0, 1.0, 0.8535534, 0.8535534])

    def test_a_skipped_step_delays_the_update_and_no_schedule_counts_it(self) -> None:
        state = state_of(accumulate=2, schedule={"name": "exponential_steps", "gamma": 0.5, "step_size": 1})
        given, updated = gradients(state, 4), []
        for event in "asasaa":
            if event == "s":
                before = weights(state), state.learning_rate
                state.skip()
                assert (weights(state), state.learning_rate) == before
            else:
                updated.append(apply(state, given.pop(0)).updated)
        assert updated == [False, True, False, True]
        assert state.learning_rate == 0.125

    def test_statistics_move_at_each_step(self) -> None:
        network = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.BatchNorm1d(1))
        state = state_of(network, accumulate=3)
        statistics = np.array([1.0, 2.0, 0.5], np.float32)  # mean, variance, loss
        means = []
        for gradient in gradients(state, 3):
            state.apply(gradient, statistics)
            mean = network[1].running_mean
            assert isinstance(mean, torch.Tensor)
            means.append(float(mean))
        assert means == pytest.approx([0.1, 0.19, 0.271])

    def test_steps_that_were_taken_elsewhere_count_as_their_updates(self) -> None:
        state = state_of(accumulate=3, schedule={"name": "ExponentialLR", "gamma": 0.5})
        state.begin_behind(7)
        assert state.learning_rate == 0.25


class TestClipping:
    def test_a_long_gradient_is_shortened_as_torch_does(self) -> None:
        state = state_of(clip_norm=0.5)
        (gradient,) = gradients(state, 1)
        before = state.model.parameter_vector()
        change = apply(state, gradient)
        parameter = torch.nn.Parameter(torch.zeros(gradient.size))
        parameter.grad = torch.from_numpy(gradient.copy())
        norm = torch.nn.utils.clip_grad_norm_([parameter], 0.5)
        assert change.gradient_norm == pytest.approx(float(norm))
        np.testing.assert_allclose(before - state.model.parameter_vector(), parameter.grad, rtol=1e-5)

    def test_a_short_gradient_stays_as_it_is(self) -> None:
        clipped, free = state_of(clip_norm=100.0), state_of()
        for gradient in gradients(clipped, 3):
            assert apply(clipped, gradient).gradient_norm == pytest.approx(float(np.linalg.norm(gradient)))
            assert apply(free, gradient).gradient_norm is None
        assert weights(clipped) == weights(free)

    def test_a_gradient_whose_squares_no_float_holds_is_shortened_too(self) -> None:
        state = state_of(clip_norm=1.0)
        before = state.model.parameter_vector()
        apply(state, np.full(state.model.num_parameters, 1e30, np.float32))
        assert np.linalg.norm(before - state.model.parameter_vector()) == pytest.approx(1, rel=1e-5)

    def test_the_mean_is_clipped_and_the_statistics_are_not(self) -> None:
        network = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.BatchNorm1d(1))
        state = state_of(network, accumulate=2, clip_norm=1.0)
        one, other = (np.full(state.model.num_parameters, value, np.float32) for value in (30.0, -29.0))
        statistics = np.array([1e6, 2.0, 0.5], np.float32)
        assert state.apply(one, statistics).gradient_norm is None
        before = state.model.parameter_vector()
        change = state.apply(other, statistics)
        assert change.gradient_norm == pytest.approx(0.5 * state.model.num_parameters**0.5)
        np.testing.assert_allclose(before - state.model.parameter_vector(), 1 / state.model.num_parameters**0.5, rtol=1e-5)
        assert float(network[1].running_mean) == pytest.approx(1.9e5)  # type: ignore[arg-type]


RUNS: dict[str, dict[str, Any]] = {
    "accumulation and momentum": {"accumulate": 3, "momentum": 0.9},
    "warm-up and cosine of clipped means in groups": {
        "name": "AdamW",
        "lr": 0.01,
        "groups": [{"max_ndim": 1, "weight_decay": 0.0, "lr": 0.1}],
        "accumulate": 2,
        "clip_norm": 0.5,
        "schedule": SEQUENCE,
    },
    "a cycle of rates and momenta": {
        "momentum": 0.9,
        "schedule": {"name": "OneCycleLR", "max_lr": 0.5, "total_steps": 101},
        "groups": [{"match": ["bias"], "nesterov": True}],
    },
    "skipped steps that count": {"schedule": {"name": "exponential_steps", "gamma": 0.5, "step_size": 2}},
}


def play(state: TrainingState, events: str, given: list[Float32]) -> list[float]:
    """The rate before each event: "a" an applied step, "s" a skipped one."""
    rates = []
    for event, gradient in zip(events, given, strict=True):
        rates.append(state.learning_rate)
        if event == "a":
            apply(state, gradient)
        else:
            state.skip()
    return rates


@pytest.mark.parametrize("keys", RUNS.values(), ids=RUNS.keys())
def test_a_resumed_run_goes_on_bit_for_bit(keys: dict[str, Any]) -> None:
    events, whole = "aasaaaasa", state_of(**keys)
    given = gradients(whole, len(events))
    rates = play(whole, events, given)
    for cut in range(1, len(events)):
        before, after = state_of(**keys), state_of(**keys)
        found = play(before, events[:cut], given[:cut])
        after.load_state_dict(stored(before))
        found += play(after, events[cut:], given[cut:])
        assert (found, weights(after)) == (rates, weights(whole))


class TestOtherSettings:
    """A run that goes on with other rates and keywords than it was begun with."""

    @staticmethod
    def resumed(before: dict[str, Any], after: dict[str, Any], steps: int = 3) -> TrainingState:
        first, second = state_of(**before), state_of(**after)
        play(first, "a" * steps, gradients(first, steps))
        second.load_state_dict(stored(first))
        return second

    def test_another_rate_takes_effect_and_momentum_stays(self) -> None:
        state = self.resumed({"momentum": 0.9}, {"momentum": 0.9, "lr": 0.1})
        ones = np.ones(state.model.num_parameters, np.float32)
        first, second, third = gradients(state, 3)
        before = state.model.parameter_vector()
        apply(state, ones)
        velocity = 0.9 * (0.9 * (0.9 * first + second) + third) + ones
        np.testing.assert_allclose(before - state.model.parameter_vector(), 0.1 * velocity, rtol=1e-4, atol=1e-6)

    def test_another_rate_is_that_of_the_schedule_from_its_start(self) -> None:
        state = self.resumed({"schedule": SEQUENCE}, {"schedule": SEQUENCE, "lr": 0.1})
        expected = state_of(lr=0.1, schedule=SEQUENCE)
        play(expected, "aaa", gradients(expected, 3))
        given = gradients(state, 5)
        assert play(state, "aaaaa", given) == play(expected, "aaaaa", given)

    def test_a_schedule_goes_on_where_another_or_none_was(self) -> None:
        halving = {"name": "ExponentialLR", "gamma": 0.5}
        assert self.resumed({}, {"schedule": halving}).learning_rate == 0.125
        assert self.resumed({"schedule": SEQUENCE}, {"schedule": halving}).learning_rate == 0.125
        assert self.resumed({"schedule": halving}, {}).learning_rate == 1.0

    def test_the_keywords_of_optimizer_and_groups_take_effect(self) -> None:
        groups = [{"match": ["bias"], "lr": 0.0}]
        state = self.resumed({"groups": groups}, {"groups": [{**groups[0], "lr": 0.5}], "weight_decay": 0.5})
        before = state.model.parameter_vector()
        apply(state, np.zeros(state.model.num_parameters, np.float32))
        np.testing.assert_allclose(state.model.parameter_vector(), before * np.array([0.5] * 6 + [0.75] * 2), rtol=1e-6)

    def test_what_belongs_to_another_optimizer_or_to_earlier_updates_is_refused(self) -> None:
        with pytest.raises(ValueError, match="group"):
            self.resumed({}, {"groups": [{"match": ["bias"]}]})
        earlier, state = state_of(), state_of()
        play(earlier, "aaa", gradients(earlier, 3))
        state.begin_behind(5)
        with pytest.raises(ValueError, match=r"3 updates behind it, and run\.start_step begins behind 5"):
            state.load_state_dict(stored(earlier))
