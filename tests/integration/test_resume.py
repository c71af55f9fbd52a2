"""A run that was interrupted ends as if it had not been."""

import errno
import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
import torch

from byzshield.config import RunConfig, load
from byzshield.errors import CheckpointError, ConfigError, StorageError
from byzshield.runtime import Builder, loop, open_finished, simulate
from byzshield.runtime.checkpoint import all_checkpoints
from byzshield.runtime.metrics import MetricsLog, read_metrics
from byzshield.runtime.record import effective
from byzshield.runtime.run_directory import RunDirectory, open_run
from byzshield.storage import read_json_lines
from byzshield.training import ParameterServer

Maker = Callable[..., RunConfig]


class Interrupt(loop.Silent):
    """Stops a run from outside after a step."""

    def __init__(self, after: int) -> None:
        self.after = after

    def advance(self, line: dict[str, Any]) -> None:
        if line["step"] == self.after:
            raise KeyboardInterrupt


RUNS = {
    "momentum, schedule and an attack": {
        "attack": {"name": "alie", "num_byzantine": 3, "selection": "random"},
        "optimizer": {"momentum": 0.9},
        "schedule": {"name": "StepLR", "step_size": 2, "gamma": 0.5},
    },
    "steps of the published code": {"schedule": {"name": "exponential_steps", "step_size": 2, "gamma": 0.5}},
    "one schedule after another, cut in the second": {
        "optimizer": {"momentum": 0.9},
        "schedule": {
            "name": "sequence",
            "parts": [{"name": "LinearLR", "steps": 2, "start_factor": 0.1}, {"name": "CosineAnnealingLR", "T_max": 4}],
        },
    },
    "gradients that are accumulated and clipped, in groups, with BatchNorm": {
        "model": {"name": "normed:Normed"},
        "optimizer": {"name": "AdamW", "groups": [{"max_ndim": 1, "weight_decay": 0.0}], "accumulate": 2, "clip_norm": 0.1},
        "schedule": {
            "name": "sequence",
            "parts": [{"name": "LinearLR", "steps": 1, "start_factor": 0.1}, {"name": "CosineAnnealingLR", "T_max": 2}],
        },
    },
    "Adagrad and dropout": {"optimizer": {"name": "Adagrad", "lr": 0.01}, "model": {"dropout": 0.5}},
    "disagreements that add up over a window": {
        "data": {"batch_size": 70},
        "placement": {"scheme": "steiner", "permute": True},
        "vote": {"name": "aspis", "window": 6},
        "attack": {"name": "reversed_gradient", "num_byzantine": 2, "files": "majority", "selection": "first"},
    },
    "a rule that remembers its last result": {
        "attack": {"name": "alie", "num_byzantine": 3},
        "aggregation": {"rule": "centered_clipping", "radius": 0.05},
    },
    "momenta of shards": {
        "data": {"split": "dirichlet", "alpha": 1.0},
        "attack": {"name": "alie", "num_byzantine": 3},
        "aggregation": {"momentum": 0.9, "momentum_form": "sum"},
        "optimizer": {"lr": 0.01},
    },
    "a rule that remembers the norms of all rows": {
        "attack": {"name": "reversed_gradient", "num_byzantine": 3},
        "aggregation": {"rule": "clipped_clustering"},
    },
    "an attack that is learning": {"attack": {"name": "mimic", "num_byzantine": 4, "warmup": 5}, "aggregation": {"rule": "mean"}},
    "an attack that has learned": {
        "attack": {"name": "mimic", "num_byzantine": 4, "warmup": 2, "meanwhile": "row"},
        "data": {"split": "label_sorted"},
        "aggregation": {"rule": "mean"},
    },
    "an attack that follows the updates": {
        "attack": {"name": "rop", "num_byzantine": 4, "learning_rate": 0.1},
        "optimizer": {"accumulate": 2},
    },
    "an attack that grows weaker": {
        "attack": {"name": "poisoned_fl", "num_byzantine": 4, "check_every": 2, "selection": "random", "redraw_every": 0},
    },
}


@pytest.mark.parametrize("sections", RUNS.values(), ids=RUNS.keys())
def test_resumed_equals_uninterrupted(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    sections: dict[str, dict[str, Any]],
) -> None:
    whole, _ = simulate(tiny_run(run={"steps": 6, "name": "whole"}, **sections))
    cut = tiny_run(run={"steps": 6, "name": "cut"}, **sections)
    with pytest.raises(KeyboardInterrupt):
        simulate(cut, progress=Interrupt(after=3))
    resumed, summary = simulate(cut, resume=True)
    assert resumed.path.name == "cut"
    assert same_weights(weights_of(whole.path), weights_of(resumed.path))
    assert summary["steps"] == 6
    lines = [json.loads(line) for line in resumed.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def counted(values: dict[str, Any]) -> dict[str, Any]:
    """Of a line of metrics.jsonl or a summary what is neither time nor memory, and so is the same after a `--resume`."""
    return {key: value for key, value in values.items() if "seconds" not in key and "rss" not in key and key != "breakdown"}


def left_by(directory: RunDirectory, summary: dict[str, Any]) -> dict[str, Any]:
    """What a run has left, but for its checkpoints and what a clock has measured."""
    record = [{key: value for key, value in line.items() if key != "chain"} for line in read_json_lines(directory.record)]
    return {
        "summary": counted(summary),
        "metrics": [counted(line) for line in read_metrics(directory.metrics)],
        "record": effective(record),  # which has what was done twice twice
        "agreement": json.loads(directory.agreement.read_text()) if directory.agreement.exists() else None,
    }


class Copy(loop.Silent):
    """Copies the directory of a run as it is after a step, which is what a kill leaves."""

    def __init__(self, run: RunConfig, after: int, name: str) -> None:
        self._folder, self._after, self._name = Path(run.run.output_dir) / run.run.name, after, name

    def advance(self, line: dict[str, Any]) -> None:
        if line["step"] == self._after:
            shutil.copytree(self._folder, self._folder.with_name(self._name))


def interrupts(method: Callable[..., Any], *, behind: int, calls: int) -> Callable[..., Any]:
    """A server's method, which presses Ctrl-C instead of one of its calls in the step behind `behind`."""
    numbers = itertools.count(1)

    def called(server: ParameterServer, *arguments: Any) -> Any:
        if server.step == behind and next(numbers) == calls:
            raise KeyboardInterrupt
        return method(server, *arguments)

    return called


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


COUNTED: dict[str, dict[str, dict[str, Any]]] = {
    "honest workers": {},
    "a rule that remembers the norms of all rows": {
        "attack": {"name": "alie", "num_byzantine": 3},
        "aggregation": {"rule": "clipped_clustering"},
    },
    "a rule that remembers its last result": {
        "attack": {"name": "alie", "num_byzantine": 3},
        "aggregation": {"rule": "centered_clipping", "radius": 0.05},
    },
    "workers that send other than they vote for": {"attack": {"name": "digest_payload_mismatch", "num_byzantine": 4}},
    "disagreements that add up over a window": {
        "data": {"batch_size": 70},
        "placement": {"scheme": "steiner", "permute": True},
        "vote": {"name": "aspis", "window": 6},
        "attack": {"name": "reversed_gradient", "num_byzantine": 2, "files": "majority", "selection": "first"},
    },
    "checks in idle time": {"audit": {"rate": "idle", "seed": 1}},
}


@pytest.mark.parametrize("sections", COUNTED.values(), ids=COUNTED.keys())
def test_whatever_no_clock_has_measured_is_the_same_whenever_a_run_was_broken_off(
    tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, sections: dict[str, dict[str, Any]]
) -> None:
    run = {"steps": 6, "checkpoint_every": 3, "eval_every": 2}
    whole = tiny_run(**{**sections, "run": {**run, "name": "whole"}})
    directory, summary = simulate(whole, num_ranks=4, progress=Copy(whole, 5, "killed"))
    expected = left_by(directory, summary)
    broken = {
        "in a round": (ParameterServer, "receive", interrupts(ParameterServer.receive, behind=4, calls=20)),
        "before a step counts": (ParameterServer, "close_round", interrupts(ParameterServer.close_round, behind=4, calls=1)),
        "in an evaluation": (Builder, "evaluate", interrupted),
    }
    for moment, (owner, name, method) in broken.items():
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, method)
            with pytest.raises(KeyboardInterrupt):
                simulate(replace(whole, run=replace(whole.run, name=moment)), num_ranks=4)
    for moment in (*broken, "killed"):
        again = simulate(replace(whole, run=replace(whole.run, name=moment)), num_ranks=4, resume=True)
        assert left_by(*again) == expected, moment


def test_blame_survives_an_interruption(tiny_run: Maker) -> None:
    attack = {"name": "wrong_digest", "num_byzantine": 1, "selection": "first"}
    _, whole = simulate(tiny_run(attack=attack), num_ranks=16)
    cut = tiny_run(attack=attack, run={"name": "cut"})
    with pytest.raises(KeyboardInterrupt):
        simulate(cut, num_ranks=16, progress=Interrupt(after=2))
    _, resumed = simulate(cut, num_ranks=16, resume=True)
    assert resumed["blamed"] == whole["blamed"]


@pytest.mark.parametrize("attack", ["alie", "wrong_digest", "digest_payload_mismatch"])
def test_a_job_that_goes_on_asks_whom_it_would_have_asked(tiny_run: Maker, attack: str) -> None:
    sections: dict[str, Any] = {"attack": {"name": attack, "num_byzantine": 4, "selection": "worst"}}
    run = {"steps": 7, "checkpoint_every": 1}
    directory, whole = simulate(tiny_run(run={**run, "name": "whole"}, **sections), num_ranks=16)
    cut = tiny_run(run={**run, "name": "cut"}, **sections)
    with pytest.raises(KeyboardInterrupt):
        simulate(cut, num_ranks=16, progress=Interrupt(after=4))
    again, resumed = simulate(cut, num_ranks=16, resume=True)
    assert {key: resumed[key] for key in ("asked", "blamed")} == {key: whole[key] for key in ("asked", "blamed")}
    assert again.agreement.read_text() == directory.agreement.read_text()


def test_more_steps_may_be_asked_for_when_resuming(tiny_run: Maker) -> None:
    simulate(tiny_run())
    _, summary = simulate(tiny_run(run={"steps": 6}), resume=True)
    assert summary["steps"] == 6


def test_another_configuration_is_not_resumed_and_what_differs_is_named(tiny_run: Maker) -> None:
    directory, _ = simulate(tiny_run())
    stored = directory.config.read_text()
    with pytest.raises(CheckpointError) as caught:
        simulate(
            tiny_run(run={"seed": 2}, model={"hidden": [9]}, aggregation={"rule": "mean"}, cluster={"quorum": 1}), resume=True
        )
    assert str(caught.value) == (
        f"{directory.path} belongs to a run with another configuration: aggregation.rule is 'median' there and 'mean' here, "
        "cluster.quorum is 0.0 there and 1.0 here, model.hidden is [8] there and [9] here, run.seed is 1 there and 2 here; "
        f"resume with {directory.config}, or start afresh"
    )
    with pytest.raises(
        CheckpointError, match=r"configuration: attack\.num_byzantine is 0 there and 1 here, attack\.z is not set "
    ):
        simulate(tiny_run(attack={"name": "alie", "z": 1.5, "num_byzantine": 1}), resume=True)
    assert directory.config.read_text() == stored


GROUPS = [{"max_ndim": 1, "lr": 0.2}]


@pytest.mark.parametrize(
    "sections",
    [
        {"optimizer": {"name": "Adam"}},
        {"optimizer": {"accumulate": 2}},
        {"optimizer": {"groups": []}},
        {"optimizer": {"groups": [{"max_ndim": 2, "lr": 0.2}]}},
        {"optimizer": {"groups": [{"match": ["*.bias"], "lr": 0.2}]}},
    ],
    ids=str,
)
def test_what_the_optimizer_remembers_must_fit(tiny_run: Maker, sections: dict[str, dict[str, Any]]) -> None:
    simulate(tiny_run(optimizer={"groups": GROUPS}))
    sections["optimizer"] = {"groups": GROUPS, **sections["optimizer"]}
    with pytest.raises(CheckpointError, match=r"another configuration: optimizer\.\w+ is .* there and .* here; resume"):
        simulate(tiny_run(**sections), resume=True)


def test_another_learning_rate_takes_effect_when_resuming(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    halving = {"name": "StepLR", "step_size": 2, "gamma": 0.5}

    def run(name: str, steps: int, **optimizer: Any) -> RunConfig:
        optimizer = {"momentum": 0.9, "groups": GROUPS, **optimizer}
        return tiny_run(run={"name": name, "steps": steps}, optimizer=optimizer, schedule=halving)

    later = {"lr": 0.01, "momentum": 0.8, "groups": [{"max_ndim": 1, "lr": 0.02}], "clip_norm": 1.0}
    simulate(run("once", 3))
    with caplog.at_level("INFO"):
        once, _ = simulate(run("once", 6, **later), resume=True)
    assert "optimizer.clip_norm is not set there and 1.0 here, " in caplog.text
    assert "optimizer.lr is 0.1 there and 0.01 here, optimizer.momentum is 0.9 there and 0.8 here" in caplog.text
    lines = read_metrics(once.metrics)
    assert [line["lr"] for line in lines] == pytest.approx([0.1, 0.1, 0.05, 0.005, 0.0025, 0.0025])
    assert ["gradient_norm" in line for line in lines] == [False] * 3 + [True] * 3
    assert load(once.config).optimizer.lr == 0.01
    for steps, keys in ((3, {}), (4, later), (6, later)):
        cut, _ = simulate(run("cut", steps, **keys), resume=True)
    assert same_weights(weights_of(once.path), weights_of(cut.path))


def test_accumulated_steps_say_when_the_parameters_moved(tiny_run: Maker, caplog: pytest.LogCaptureFixture) -> None:
    directory, summary = simulate(tiny_run(run={"steps": 5}, optimizer={"accumulate": 2, "clip_norm": 1.0}))
    lines = read_metrics(directory.metrics)
    assert [line["updated"] for line in lines] == [False, True, False, True, False]
    assert ["gradient_norm" in line for line in lines] == [line["updated"] for line in lines]
    assert (summary["steps"], summary["skipped_steps"]) == (5, 0)
    assert "the last 1 of 5 steps make no update: optimizer.accumulate is 2" in caplog.text


def test_skipped_steps_among_accumulated_ones_are_resumed_too(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    def run(name: str, steps: int, **keys: Any) -> RunDirectory:
        sections: dict[str, dict[str, Any]] = {
            "run": {"name": name, "steps": steps, **keys},
            "cluster": {"quorum": 1.0},
            "attack": {"name": "silence", "num_byzantine": 3, "at_steps": [2, 3, 6]},
            "optimizer": {"momentum": 0.9, "accumulate": 2},
        }
        return simulate(tiny_run(**sections), resume=True)[0]

    whole = run("whole", 8, checkpoint_every=3)
    lines = read_metrics(whole.metrics)
    assert [line["applied"] for line in lines] == [True, False, False, True, True, False, True, True]
    assert [line["step"] for line in lines if line["updated"]] == [4, 7]
    expected = weights_of(whole.path)
    for cut in (2, 5):
        run("cut", cut)
        resumed = run("cut", 8)
        assert same_weights(weights_of(resumed.path), expected)
        assert [line["step"] for line in read_metrics(resumed.metrics) if line["updated"]] == [4, 7]
        shutil.rmtree(resumed.path)
    for _, path in all_checkpoints(whole.checkpoints)[1:]:
        path.unlink()
    assert [step for step, _ in all_checkpoints(whole.checkpoints)] == [
        1
    ]  # stored at step 3, from before those that were skipped
    assert same_weights(weights_of(run("whole", 8).path), expected)


def test_a_run_of_epochs_ends_with_the_last_and_can_be_given_more(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    whole, _ = simulate(tiny_run(run={"name": "whole", "steps": 8}))
    epoch = tiny_run(run={"steps": 100, "epochs": 1})  # 300 samples, 75 a step
    simulate(epoch)
    directory, summary = simulate(replace(epoch, run=replace(epoch.run, steps=None, epochs=2)), resume=True)
    assert summary["steps"] == 8
    assert [line["epoch"] for line in read_metrics(directory.metrics)] == [1] * 4 + [2] * 4
    assert same_weights(weights_of(whole.path), weights_of(directory.path))
    stored = load(directory.config)
    assert (stored.run.steps, stored.run.epochs) == (8, None)
    simulate(stored, resume=True)


def test_a_damaged_checkpoint_is_named(tiny_run: Maker) -> None:
    directory, _ = simulate(tiny_run())
    (path,) = directory.checkpoints.glob("step_*.pt")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="step_4"):
        simulate(tiny_run(run={"steps": 6}), resume=True)


@pytest.mark.parametrize("damage", ["flipped", "cut short", "code"])
def test_the_checkpoint_before_a_damaged_one_is_used(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    whole, _ = simulate(tiny_run(run={"steps": 6, "name": "whole"}))
    directory, _ = simulate(tiny_run(run={"checkpoint_every": 2}))
    path = directory.checkpoints / "step_4.pt"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[2000] ^= 1
        path.write_bytes(content)
    elif damage == "cut short":
        path.write_bytes(content[:2000])
    else:
        torch.save({"configuration": "x", "code": Interrupt(after=1)}, path)
    resumed, _ = simulate(tiny_run(run={"steps": 6, "checkpoint_every": 2}), resume=True)
    assert f"{path} " in caplog.text
    assert "step_2.pt is used in its place" in caplog.text
    assert same_weights(weights_of(whole.path), weights_of(resumed.path))
    assert [line["step"] for line in read_metrics(resumed.metrics)] == [1, 2, 3, 4, 5, 6]


def test_a_step_whose_line_cannot_be_written_gets_no_checkpoint(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    write = MetricsLog.write

    def full(log: MetricsLog, line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise StorageError("metrics.jsonl cannot be written: No space left on device")
        write(log, line)

    monkeypatch.setattr(MetricsLog, "write", full)
    config = tiny_run(run={"checkpoint_every": 1})
    with pytest.raises(StorageError, match=r"metrics\.jsonl"):
        simulate(config)
    directory, _ = open_finished(Path(config.run.output_dir) / "tiny")
    assert [step for step, _ in all_checkpoints(directory.checkpoints)] == [1, 2]
    assert [line["step"] for line in read_metrics(directory.metrics)] == [1, 2]


def test_lines_of_another_version_do_not_spoil_the_end_of_a_run(tiny_run: Maker) -> None:
    directory, _ = simulate(tiny_run(run={"steps": 2}))
    directory.metrics.write_text('{"step": 1}\n{"step": 2, "seconds": 1.0}\n')
    _, summary = simulate(tiny_run(run={"steps": 3}), resume=True)
    assert (summary["steps"], summary["skipped_steps"], summary["corrupted_files_max"]) == (3, 0, 0)


def test_a_run_is_locked_until_it_has_ended(tiny_run: Maker) -> None:
    config = tiny_run()
    holder = f"process {os.getpid()} on {gethostname()}"
    with open_run(config, resume=False, overwrite=False) as directory:
        for flags in ({"resume": True, "overwrite": False}, {"resume": False, "overwrite": True}):
            with pytest.raises(ConfigError, match=f"{directory.path} is in use by {holder}; wait"):
                open_run(config, **flags)
    open_run(config, resume=True, overwrite=False).release()


def test_a_file_system_without_locks_is_used_with_a_warning(
    tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    open_run(tiny_run(), resume=False, overwrite=False).release()
    assert "has no locks (No locks available): see to it that no second job uses it" in caplog.text


def test_a_taken_name_gets_a_suffix_and_nothing_is_overwritten(tiny_run: Maker) -> None:
    first, _ = simulate(tiny_run())
    second, _ = simulate(tiny_run())
    third, _ = simulate(tiny_run(), overwrite=True)
    assert [first.path.name, second.path.name, third.path.name] == ["tiny", "tiny-2", "tiny"]


def test_a_folder_that_is_no_run_is_not_overwritten(tiny_run: Maker, tmp_path: Path) -> None:
    precious = tmp_path / "runs" / "tiny" / "thesis.tex"
    precious.parent.mkdir(parents=True)
    precious.write_text("all my work")
    with pytest.raises(ConfigError, match="not a run's directory"):
        simulate(tiny_run(), overwrite=True)
    assert precious.exists()
