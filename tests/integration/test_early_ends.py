"""Runs that end before their last step: what they say, what they leave behind, and how they go on."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import byzshield as bz
from byzshield.attacks.message_attack import MessageAttack
from byzshield.cli.main import main
from byzshield.config import RunConfig, dump
from byzshield.errors import ByzShieldError, DivergedError, RunStopped, StalledError
from byzshield.runtime import Builder, loop, simulate
from byzshield.training import TrainingState
from byzshield.training.state import Change

Maker = Callable[..., RunConfig]
Weights = dict[str, torch.Tensor]


def read(path: Path) -> Any:
    """Parses a file of JSON lines, or of one document, as programs do that know no NaN."""
    text = path.read_text()
    documents = [text] if path.suffix == ".json" else text.splitlines()
    parsed = [json.loads(document, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) for document in documents]
    return parsed[0] if path.suffix == ".json" else parsed


def silent(tiny_run: Maker, steps: list[int], **sections: Any) -> RunConfig:
    """A run in which two of three copies of every file never come at `steps`."""
    attack = {"name": "silence", "num_byzantine": 10, "selection": "first", "at_steps": steps}
    return tiny_run(attack=attack, aggregation={"num_corrupted": 0}, **sections)


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").glob("step_*"))


def test_a_run_whose_steps_are_all_skipped_fails_and_does_them_again_once_its_workers_are_mended(
    tiny_run: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    weights_of: Callable[[Path], Weights],
    same_weights: Callable[[Weights, Weights], bool],
) -> None:
    schedule = {"name": "exponential_steps", "step_size": 2, "gamma": 0.5}  # which counts skipped steps
    sections = {"cluster": {"max_skipped": 4}, "optimizer": {"momentum": 0.9}, "schedule": schedule}
    config = silent(tiny_run, [4, 5, 6, 7, 8], run={"steps": 12, "checkpoint_every": 5}, **sections)
    with pytest.raises(StalledError, match=r"4 steps in a row were skipped, the last with 25 files undecided .* up to step 3 is"):
        simulate(config)
    run = tmp_path / "runs" / "tiny"
    assert checkpoints(run) == ["step_3.pt"]
    assert [line["applied"] for line in read(run / "metrics.jsonl")] == [True] * 3 + [False] * 4
    summary = read(run / "summary.json")
    assert (summary["status"], summary["steps"], summary["skipped_steps"]) == ("failed", 7, 4)
    assert summary["reason"].startswith("4 steps in a row were skipped")
    assert summary["blamed"]["0"]["timeout"] == 4
    assert summary["asked"]["0"]["steps"] == 7
    assert 0 < summary["asked"]["0"]["votes"] <= 35

    monkeypatch.setattr(MessageAttack, "attacks_at", lambda *_: False)
    _, resumed = simulate(config, resume=True)
    assert (resumed["status"], resumed["steps"], resumed["skipped_steps"]) == ("complete", 12, 0)
    assert resumed["blamed"]["0"]["timeout"] > 0  # what was counted in the skipped steps is not forgotten
    assert [line["applied"] for line in read(run / "metrics.jsonl")] == [True] * 12
    whole, _ = simulate(tiny_run(run={"steps": 12, "name": "whole"}, **sections))
    assert same_weights(weights_of(run), weights_of(whole.path))


def test_skipped_steps_that_are_no_row_end_nothing(tiny_run: Maker) -> None:
    steps = {"run": {"steps": 9}}
    _, summary = simulate(silent(tiny_run, [1, 2, 4, 5, 7, 8], cluster={"max_skipped": 3}, **steps))
    assert (summary["status"], summary["skipped_steps"]) == ("complete", 6)


def test_max_skipped_of_0_lets_a_run_go_on(tiny_run: Maker) -> None:
    directory, summary = simulate(silent(tiny_run, [], cluster={"max_skipped": 0}, run={"steps": 22}))
    assert (summary["status"], summary["skipped_steps"]) == ("complete", 22)
    assert checkpoints(directory.path) == ["step_22.pt"]


def test_a_model_that_diverges_ends_the_run_and_blames_nobody(
    tiny_run: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str], weights_of: Callable[[Path], Weights]
) -> None:
    run_file, run = tmp_path / "run.toml", tmp_path / "runs" / "tiny"
    config = tiny_run(
        run={"steps": 30, "eval_every": 1}, optimizer={"lr": 1e6, "momentum": 0.9}, model={"hidden": [32, 32, 32, 32, 32]}
    )
    run_file.write_text(dump(config))
    assert main(["simulate", str(run_file)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    lines, summary = read(run / "metrics.jsonl"), read(run / "summary.json")
    step = lines[-1]["step"]
    assert message.startswith(f"byzshield: the model diverged at step {step + 1} (last loss ")
    assert "learning rate 1e+06): 25 of 25 files" in message
    assert (summary["status"], summary["blamed"], summary["skipped_steps"]) == ("failed", {}, 0)
    assert f"byzshield: {summary['reason']}" == message
    assert lines[-1]["test_loss"] is None or math.isfinite(lines[-1]["test_loss"])
    assert checkpoints(run) == [f"step_{step}.pt"]
    assert all(values.isfinite().all() for values in weights_of(run).values())
    assert main(["report", str(run), "--output", str(tmp_path / "page.html")]) == 0
    assert f"failed after step {step}: the model diverged" in (tmp_path / "page.html").read_text()


def test_parameters_that_are_not_finite_are_never_stored(
    tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    apply = TrainingState.apply
    calls = []

    def overflow(self: TrainingState, *arguments: Any) -> Change:
        change = apply(self, *arguments)
        calls.append(None)
        if len(calls) == 4:
            self.model.parameters[7] = math.inf
        return change

    monkeypatch.setattr(TrainingState, "apply", overflow)
    with pytest.raises(DivergedError, match=r"at step 4 .* the update has made parameters infinite"):
        simulate(tiny_run(run={"steps": 9, "checkpoint_every": 2}))
    run = tmp_path / "runs" / "tiny"
    assert checkpoints(run) == ["step_2.pt"]
    assert [line["step"] for line in read(run / "metrics.jsonl")] == [1, 2, 3]


def test_a_loss_that_is_not_finite_is_null(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(Builder, "evaluate", lambda *_: {"accuracy": 0.25, "loss": math.inf, "top5_accuracy": 0.75})
    run_file, run = tmp_path / "run.toml", tmp_path / "runs" / "tiny"
    run_file.write_text(dump(tiny_run(run={"steps": 2, "eval_every": 1})))
    assert main(["simulate", str(run_file)]) == 0
    assert "test accuracy 0.2500, loss not finite, top5 accuracy 0.7500 after 2 steps" in capsys.readouterr().out
    assert [line["test_loss"] for line in read(run / "metrics.jsonl")] == [None, None]
    assert read(run / "summary.json")["test_loss"] is None
    assert main(["evaluate", str(run), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))["checkpoints"]
    assert row == {"step": 2, "test_accuracy": 0.25, "test_top5_accuracy": 0.75, "test_loss": None}


class Stop(loop.Silent):
    """Raises an exception after step 3."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.reached = False

    def advance(self, line: dict[str, Any]) -> None:
        self.reached = line["step"] == 3
        if self.reached and self.error is not None:
            raise self.error

    def __call__(self) -> bool:
        return self.reached


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (None, "stopped", "told to end by a signal"),
        (KeyboardInterrupt(), "stopped", "told to end by a signal"),
        (SystemExit(143), "stopped", "told to end by a signal"),
        (RuntimeError("what torch\nsays"), "failed", "what torch says"),
    ],
    ids=["SIGUSR1", "Ctrl-C", "SIGTERM", "a failure"],
)
def test_a_run_that_ends_early_leaves_a_summary_and_goes_on(
    tiny_run: Maker, tmp_path: Path, capsys: Any, error: BaseException | None, status: str, reason: str
) -> None:
    config = tiny_run(run={"steps": 6, "eval_every": 2}, attack={"num_byzantine": 3})
    progress = Stop(error)
    with pytest.raises(RunStopped if error is None else type(error)):
        simulate(config, progress=progress, stop=progress)
    run = tmp_path / "runs" / "tiny"
    summary, lines = read(run / "summary.json"), read(run / "metrics.jsonl")
    assert (summary["status"], summary["reason"], summary["steps"]) == (status, reason, 3)
    assert (summary["evaluated_at"], summary["test_accuracy"]) == (2, lines[1]["test_accuracy"])
    assert summary["blamed"]
    assert main(["evaluate", str(run), "--watch"]) == 0
    assert main(["report", str(run)]) == 0
    assert f"{status} after step 3" in (run / "report.html").read_text()
    capsys.readouterr()

    _, resumed = simulate(config, resume=True)
    _, whole = simulate(tiny_run(run={"steps": 6, "eval_every": 2, "name": "whole"}, attack={"num_byzantine": 3}))
    assert [resumed[key] for key in ("status", "reason", "steps", "blamed")] == [
        whole[key] for key in ("status", "reason", "steps", "blamed")
    ]


def test_a_run_that_goes_on_has_no_summary_until_it_ends(tiny_run: Maker, tmp_path: Path) -> None:
    simulate(tiny_run())
    summary = tmp_path / "runs" / "tiny" / "summary.json"
    seen = []

    class Look(loop.Silent):
        def advance(self, line: dict[str, Any]) -> None:
            seen.append(summary.exists())

    simulate(tiny_run(run={"steps": 6}), resume=True, progress=Look())
    assert seen == [False, False]
    assert summary.exists()


def test_blame_is_in_the_metrics_and_at_the_end_of_the_command(
    tiny_run: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_file, run = tmp_path / "run.toml", tmp_path / "runs" / "tiny"
    attack = {"name": "changing_payload", "num_byzantine": 3, "selection": "worst"}
    run_file.write_text(dump(tiny_run(attack=attack)))
    assert main(["simulate", str(run_file), "--ranks", "16"]) == 0
    output = capsys.readouterr()
    summary = read(run / "summary.json")
    proven = sorted(worker for worker, counts in summary["blamed"].items() if counts["payload_mismatch"])
    assert proven
    first = summary["blamed"][proven[0]]["payload_mismatch"]
    asked = summary["asked"][proven[0]]["payloads"]
    assert f"proven     worker {proven[0]:<4} payload_mismatch {first} of {asked} payloads" in output.out
    named = re.findall(r"other than it had voted for, for the first time: workers? ([\d, ]+) \(proof\)", output.err)
    assert sorted(", ".join(named).split(", ")) == proven  # each once
    total = sum(
        counts.get("payload_mismatch", 0) for line in read(run / "metrics.jsonl") for counts in line.get("blamed", {}).values()
    )
    assert total == sum(counts["payload_mismatch"] for counts in summary["blamed"].values())


def test_honest_workers_whom_colluders_outvote_are_called_suspects_not_more(
    tiny_run: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(tiny_run(attack={"name": "alie", "num_byzantine": 3})))
    assert main(["simulate", str(run_file)]) == 0
    output = capsys.readouterr().out
    byzantine = Builder(tiny_run(attack={"num_byzantine": 3})).selection.byzantine_at(1)
    summary = read(tmp_path / "runs" / "tiny" / "summary.json")
    assert {int(worker) for worker in summary["blamed"]} > set(byzantine)
    assert "proven" not in output
    assert output.count("suspected  worker") == len(summary["blamed"])
    assert "A suspect may be honest: those whom colluders outvote" in output


POINTS = torch.randn(360, 2, generator=torch.Generator().manual_seed(0))
LABELS = (POINTS.sum(dim=1) > 0).long()


class Samples(list[Any]):
    """Of which one cannot be read, or is not finite."""

    def __init__(self, *, unreadable: int = -1, infinite: int = -1) -> None:
        super().__init__(zip(POINTS, LABELS, strict=True))
        self.unreadable = unreadable
        if infinite >= 0:
            self[infinite] = (POINTS[infinite] * math.inf, LABELS[infinite])

    def __getitem__(self, index: Any) -> Any:
        if index == self.unreadable:
            raise OSError("image file is truncated")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"train": Samples(unreadable=7)}, r"cannot be computed: training sample 7 cannot be read: OSError: image file is trunc"),
        ({"train": Samples(infinite=7)}, r"the loss of file \d+ is nan, and of its samples 7 is not finite"),
        ({"loss": lambda output, _: output.mean() * math.nan}, "the loss of file 0 is nan with the initial weights"),
        (
            {"test": Samples(unreadable=359)},
            r"^the test has failed: test sample 359 cannot be read: .* \(test_early_ends",
        ),
    ],
)
def test_what_is_wrong_with_data_or_loss_is_said_and_the_last_step_is_stored(
    tmp_path: Path, parts: dict[str, Any], reason: str
) -> None:
    whole: dict[str, Any] = {"train": Samples(), "test": Samples(), "loss": nn.functional.cross_entropy} | parts
    with pytest.raises(ByzShieldError, match=reason) as failed:
        bz.simulate(
            model=lambda: nn.Linear(2, 2),
            placement=bz.mols(5, 3),
            rule=bz.TrimmedMean(1),
            attack=bz.ALIE(),  # which makes NaNs of the NaNs that it knows
            num_byzantine=2,
            steps=4,
            batch_size=75,
            output_dir=tmp_path,
            progress=False,
            **whole,
        )
    lines, summary = read(tmp_path / "run" / "metrics.jsonl"), read(tmp_path / "run" / "summary.json")
    assert (summary["status"], summary["reason"]) == ("failed", str(failed.value))
    assert checkpoints(tmp_path / "run") == [f"step_{line['step']}.pt" for line in lines[-1:]]


def test_a_sample_that_nobody_can_read_is_borne_where_the_rule_bears_it(tmp_path: Path) -> None:
    result = bz.simulate(
        model=lambda: nn.Linear(2, 2),
        train=Samples(unreadable=7),
        test=Samples(),
        loss=nn.functional.cross_entropy,
        placement=bz.mols(5, 3),
        rule=bz.TrimmedMean(1),
        steps=5,
        batch_size=75,
        output_dir=tmp_path,
        progress=False,
    )
    assert {line["non_finite_files"] for line in result.history} == {0, 1}
    assert result.summary["skipped_steps"] == 0


@pytest.mark.parametrize("audit", [{"rate": 1.0}, {"rate": "idle"}, {"rate": 0.5, "by": "workers"}, {"arbitrate": True}])
def test_audits_bear_a_sample_that_nobody_can_read_and_convict_the_liar_alone(tmp_path: Path, audit: dict[str, Any]) -> None:
    def run(name: str, **parts: Any) -> bz.TrainingResult:
        return bz.simulate(
            model=lambda: nn.Linear(2, 2),
            train=Samples(unreadable=7),
            test=Samples(),
            loss=nn.functional.cross_entropy,
            placement=bz.frc(num_workers=10, replication=2) if "arbitrate" in audit else bz.baseline(num_workers=5),
            rule=bz.TrimmedMean(1),
            steps=12,
            batch_size=75,
            output_dir=tmp_path,
            name=name,
            progress=False,
            **parts,
        )

    honest = run("honest", audit=audit)
    assert {line["non_finite_files"] for line in honest.history} == {0, 1}
    assert not honest.summary["expelled"]
    if "arbitrate" not in audit:
        plain = run("plain")
        assert all(map(torch.equal, plain.model.parameters(), honest.model.parameters()))
    attacked = run("attacked", audit=audit, attack=bz.ReversedGradient(), num_byzantine=1)
    assert list(attacked.summary["expelled"]) == ["0"]
