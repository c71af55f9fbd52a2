"""Whole runs with audits: the weights of a run without liars, rollbacks, evidence, and resuming."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.arrays import Float32
from byzshield.attacks import Attack, Situation
from byzshield.cli.main import main
from byzshield.config import RunConfig
from byzshield.errors import ConfigError, StorageError
from byzshield.runtime import record, simulate
from byzshield.runtime.auditing import Auditing
from byzshield.runtime.checkpoint import all_checkpoints
from byzshield.runtime.evidence import EvidenceLog
from byzshield.runtime.jobs import Outcome, run_here
from byzshield.runtime.metrics import read_metrics
from byzshield.runtime.objects import Objects
from byzshield.runtime.run_directory import RunDirectory
from byzshield.training import ParameterServer, Worker
from byzshield.wire import Message

Maker = Callable[..., RunConfig]
Sections = dict[str, dict[str, Any]]
PLAIN: Sections = {
    "run": {"steps": 12, "checkpoint_every": 2},
    "placement": {"scheme": "baseline"},
    "aggregation": {"rule": "mean"},
    "optimizer": {"momentum": 0.9},
    "schedule": {"name": "CosineAnnealingLR"},
}
REVERSED = {"name": "reversed_gradient", "num_byzantine": 5, "selection": "first"}
ROLLBACK = {"rollback": True, "clean_steps": 2, "seed": 1}  # with a seed by which each liar is found out in time


class LiesAt(Attack):
    """Reverses gradients in some steps and is honest in all others."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return -gradients if situation.step in self.steps else gradients


def merged(*tables: Sections) -> Sections:
    result: Sections = {}
    for table in tables:
        for section, values in table.items():
            result[section] = {**result.get(section, {}), **values}
    return result


@pytest.fixture
def honest(tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]]) -> Callable[..., dict[str, torch.Tensor]]:
    """Returns what gives the weights of a run without attack and without audits."""

    def weights(**sections: dict[str, Any]) -> dict[str, torch.Tensor]:
        directory, _ = simulate(tiny_run(**merged(PLAIN, sections, {"run": {"name": "honest"}})), overwrite=True)
        return weights_of(directory.path)

    return weights


PAIRS: Sections = {"placement": {"scheme": "frc", "replication": 2}, "cluster": {"num_workers": 14}, "data": {"batch_size": 70}}
LIARS: dict[str, Sections] = {
    "r = 1, every second file is checked": {"audit": {"rate": 0.5, **ROLLBACK}, "attack": REVERSED},
    "all workers but one lie": {"audit": {"rate": 0.5, **ROLLBACK}, "attack": {**REVERSED, "num_byzantine": 14}},
    "colluders who know all": {"audit": {"rate": 0.5, **ROLLBACK}, "attack": {"name": "alie", "num_byzantine": 7}},
    "colluders who know their own, and forge all that is sent": {
        "audit": {"rate": 0.5, **ROLLBACK},
        "attack": {"name": "alie", "num_byzantine": 7, "knowledge": "own", "forge_statistics": True},
    },
    "all copies travel": {"audit": {"rate": 0.5, **ROLLBACK}, "attack": REVERSED, "cluster": {"exchange": "full"}},
    "workers check workers": {"audit": {"rate": 0.8, "by": "workers", **ROLLBACK}, "attack": REVERSED},
    "the server checks in idle time": {"run": {"steps": 30}, "audit": {"rate": "idle", **ROLLBACK}, "attack": REVERSED},
    "two copies, which disagree": {
        **PAIRS,
        "audit": {"arbitrate": True},
        "attack": {**REVERSED, "selection": "fixed", "workers": [0, 2, 5, 7, 9]},
    },
    "two copies, and some pairs collude": {**PAIRS, "audit": {"arbitrate": True, "rate": 0.3, **ROLLBACK}, "attack": REVERSED},
    "a worker that does not send what it votes for": {
        "audit": {"rate": 0.1, **ROLLBACK},
        "attack": {"name": "digest_payload_mismatch", "num_byzantine": 3},
    },
}


@pytest.mark.parametrize("sections", LIARS.values(), ids=LIARS.keys())
def test_a_run_with_liars_ends_with_the_weights_of_a_run_without(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    honest: Callable[..., dict[str, torch.Tensor]],
    sections: Sections,
) -> None:
    directory, summary = simulate(tiny_run(**merged(PLAIN, sections)))
    without = {key: values for key, values in sections.items() if key not in ("audit", "attack", "placement")}
    if "placement" in sections:  # of which the weights do not depend but by the number of files
        without |= {"placement": {"scheme": "frc", "replication": 1}, "cluster": {"num_workers": 7}}
    assert same_weights(weights_of(directory.path), honest(**without))
    assert len(summary["expelled"]) == sections["attack"]["num_byzantine"]
    assert summary["undecided_files"] == 0


@pytest.mark.parametrize("name", ["silence", "no_delivery", "death", "replay", "wrong_step"])
def test_no_way_to_be_late_or_lost_changes_the_weights_or_blames_the_honest(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    honest: Callable[..., dict[str, torch.Tensor]],
    name: str,
) -> None:
    run: Sections = {"run": {"steps": 6}}
    audit = {"rate": 0.7, **ROLLBACK}
    attack = {"name": name, "num_byzantine": 5, "selection": "first"}
    directory, summary = simulate(tiny_run(**merged(PLAIN, run, {"attack": attack, "audit": audit})), num_ranks=16)
    assert same_weights(weights_of(directory.path), honest(**run))
    assert not [worker for worker, counts in summary["blamed"].items() if int(worker) > 4 and any(counts.values())]
    assert summary["undecided_files"] == 0


def test_nobody_is_convicted_where_nobody_lies(tiny_run: Maker) -> None:
    for checks in ({"rate": 1.0, **ROLLBACK}, {"rate": 1.0, "by": "workers"}, {"rate": "idle"}):
        _, summary = simulate(tiny_run(**merged(PLAIN, {"audit": checks})), overwrite=True)
        assert summary["expelled"] == {}
        assert summary["audited_files"] >= 11
        assert summary["blamed"] == {}


def events_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "evidence.jsonl").read_text().splitlines()]


def test_the_search_for_earlier_lies_goes_back_until_there_are_enough_clean_steps(
    tiny_run: Maker, honest: Callable[..., dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "first"}
    for lies, went_back_to, found in (((3, 5, 9), [4, 0], [5, 3]), ((9,), [4], []), ((1, 9), [4], [])):
        seed = next(seed for seed in range(1000) if _first_drawn(seed, lies) == 9)
        checks = {**ROLLBACK, "rate": 0.3, "seed": seed, "clean_steps": 3}
        config = tiny_run(**merged(PLAIN, {"attack": attack, "audit": checks}))
        outcome = run_here(config, objects=Objects(attack=LiesAt(*lies)), overwrite=True)
        events = events_of(outcome.directory.path)
        assert [event["to"] for event in events if event["event"] == "rollback"] == went_back_to
        assert [event["step"] for event in events if event.get("evidence") == "replay"] == found
        own = {name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}
        # A lie before enough clean steps stays, as is said in docs/audits.md.
        assert same_weights(own, honest()) == (lies != (1, 9))


def _first_drawn(seed: int, lies: tuple[int, ...]) -> int | None:
    """The first of some steps in which file 0 is drawn."""
    from byzshield.training.audit import Audit

    drawn = Audit(computer=lambda *_: None, arbitrate=False, rate=0.3, seed=seed)  # type: ignore[arg-type, return-value]
    return next((step for step in lies if drawn.draws(step, 0)), None)


class NotANumber(Attack):
    """Sends a NaN in place of one number."""

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        forged = gradients.copy()
        forged[-1] = np.nan
        return forged


@pytest.mark.parametrize("exchange", ["digest", "full"])
def test_what_is_not_finite_is_always_checked_and_does_not_end_the_run(
    tiny_run: Maker, honest: Callable[..., dict[str, torch.Tensor]], same_weights: Callable[..., bool], exchange: str
) -> None:
    attack = {"name": "reversed_gradient", "num_byzantine": 3, "selection": "first"}
    sections: Sections = {"aggregation": {"num_corrupted": 0}, "cluster": {"exchange": exchange}}
    config = tiny_run(**merged(PLAIN, sections, {"attack": attack, "audit": {"rate": 1e-9}}))
    outcome = run_here(config, objects=Objects(attack=NotANumber()))
    assert [proof["step"] for proof in outcome.summary["expelled"].values()] == [1, 1, 1]
    own = {name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}
    assert same_weights(own, honest(cluster={"exchange": exchange}))


@pytest.mark.parametrize("liars", [5, 14])
def test_one_lie_that_could_ruin_the_mean_is_always_checked(
    tiny_run: Maker, honest: Callable[..., dict[str, torch.Tensor]], same_weights: Callable[..., bool], liars: int
) -> None:
    class Once(LiesAt):
        def forge(self, gradients: Float32, situation: Situation) -> Float32:
            return 10 * super().forge(gradients, situation) if situation.step in self.steps else gradients

    attack = {"name": "reversed_gradient", "num_byzantine": liars, "selection": "first"}
    config = tiny_run(**merged(PLAIN, {"attack": attack, "aggregation": {"num_corrupted": 0}, "audit": {"rate": 1e-9}}))
    outcome = run_here(config, objects=Objects(attack=Once(12)))
    assert [proof["step"] for proof in outcome.summary["expelled"].values()] == [12] * liars
    assert len(read_metrics(outcome.directory.metrics)[-1]["audited"]) == 15  # all, once somebody is convicted
    assert same_weights({name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}, honest())


def test_a_lie_in_the_last_step_is_found_in_idle_time_as_well(
    tiny_run: Maker, honest: Callable[..., dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    attack = {"name": "reversed_gradient", "num_byzantine": 3, "selection": "first"}
    config = tiny_run(**merged(PLAIN, {"attack": attack, "audit": {**ROLLBACK, "rate": "idle"}}))
    outcome = run_here(config, objects=Objects(attack=LiesAt(12)))
    assert sorted(outcome.summary["expelled"]) == ["0", "1", "2"]
    assert same_weights({name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}, honest())


IDLE = {**ROLLBACK, "rate": "idle", "seed": 2}  # with a seed by which a file of worker 1 is looked at first behind step 4


@pytest.mark.parametrize(("step", "moment"), [(4, "between two steps"), (4, "in the step behind it"), (12, "at the end")])
def test_a_lie_in_the_step_before_a_run_was_broken_off_is_found_in_idle_time_as_well(
    tiny_run: Maker,
    honest: Callable[..., dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    moment: str,
) -> None:
    attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "fixed", "workers": [1]}
    config = tiny_run(**merged(PLAIN, {"attack": attack, "audit": IDLE}))
    objects = Objects(attack=LiesAt(step))
    with monkeypatch.context() as patch:
        if moment == "in the step behind it":
            checked = ParameterServer.check_past

            def interrupted(server: ParameterServer, now: float) -> Any:
                outgoing = checked(server, now)
                if server.step == step:
                    raise KeyboardInterrupt
                return outgoing

            patch.setattr(ParameterServer, "check_past", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_here(config, objects=objects, progress=Interrupt(after=step))
    outcome = run_here(config, objects=objects, resume=True)
    events = [event.get("evidence", event["event"]) for event in events_of(outcome.directory.path)]
    assert events == ["audit", "rollback", "replay"]
    assert same_weights({name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}, honest())


@pytest.mark.parametrize("refusals", [1, 2], ids=["there is room again at the end", "there is none"])
def test_no_checkpoint_has_a_conviction_without_its_evidence(
    tiny_run: Maker,
    honest: Callable[..., dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    refusals: int,
) -> None:
    attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "first"}
    seed = next(seed for seed in range(1000) if _first_drawn(seed, (10,)) == 10)
    run = {"checkpoint_every": 4}  # so that there is one to be made at the end
    config = tiny_run(**merged(PLAIN, {"run": run, "attack": attack, "audit": {**ROLLBACK, "rate": 0.3, "seed": seed}}))
    convict, left = EvidenceLog.convict, list(range(refusals))

    def full(log: EvidenceLog, *proofs: Any, **keywords: Any) -> None:
        if proofs and left:
            left.pop()
            raise StorageError("evidence.jsonl cannot be written: No space left on device")
        convict(log, *proofs, **keywords)

    monkeypatch.setattr(EvidenceLog, "convict", full)
    with pytest.raises(StorageError, match="No space left"):
        run_here(config, objects=Objects(attack=LiesAt(10)))
    outcome = run_here(config, objects=Objects(attack=LiesAt(10)), resume=True)
    events = [event.get("evidence", event["event"]) for event in events_of(outcome.directory.path)]
    assert events == ["audit", "rollback"]
    assert same_weights({name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}, honest())


def test_damaged_evidence_is_refused_and_stays(tiny_run: Maker) -> None:
    config = tiny_run(**merged(PLAIN, {"attack": REVERSED, "audit": {"rate": 1.0}}))
    directory, _ = simulate(config)
    whole = directory.evidence.read_bytes()
    directory.evidence.write_bytes(whole.replace(b"{", b"[", 1))
    with pytest.raises(StorageError, match=r"evidence\.jsonl is damaged: line 1 is no event; bring back a copy, or start afresh"):
        simulate(config, resume=True)
    assert directory.evidence.read_bytes() == whole.replace(b"{", b"[", 1)
    directory.evidence.write_bytes(whole + b'{"event": "conv')  # which a kill leaves
    simulate(config, resume=True)


class Interrupt:
    """Progress that presses Ctrl-C after some steps were done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def start(self, **_: Any) -> None: ...

    def advance(self, line: Any) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def finish(self) -> None: ...


@pytest.mark.parametrize("more", [{}, ROLLBACK, {"probation": 3}], ids=["plain", "rollback", "probation"])
def test_resumed_equals_uninterrupted(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    more: dict[str, Any],
) -> None:
    sections = merged(PLAIN, {"attack": REVERSED, "audit": {"rate": 0.3, **more, "seed": 1}})
    whole, summary = simulate(tiny_run(**sections))
    cut = tiny_run(**merged(sections, {"run": {"name": "cut"}}))
    with pytest.raises(KeyboardInterrupt):
        simulate(cut, progress=Interrupt(after=5))
    resumed, again = simulate(cut, resume=True)
    assert same_weights(weights_of(whole.path), weights_of(resumed.path))
    for key in ("expelled", "audited_files", "arbitrations", "rolled_back_steps"):
        assert summary[key] == again[key], key


class Copies:
    """Copies the directory of a run as it is after some of the steps that are played, which is what a kill leaves."""

    def __init__(self, run: Path, *after: int) -> None:
        self._run, self._after, self._played = run, after, 0

    def start(self, *, at: int, steps: int, lines: Any) -> None: ...

    def advance(self, line: Any) -> None:
        self._played += 1
        if self._played in self._after:
            shutil.copytree(self._run, self._run.with_name(f"killed after {self._played}"))

    def finish(self) -> None: ...


def test_a_search_for_earlier_lies_that_was_broken_off_reaches_as_far_when_it_goes_on(
    tiny_run: Maker, honest: Callable[..., dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    lies = (5, 8, 11)
    seed = next(seed for seed in range(1000) if _first_drawn(seed, lies) == 11)
    attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "first"}
    checks = {**ROLLBACK, "rate": 0.3, "seed": seed, "clean_steps": 4}
    config = tiny_run(**merged(PLAIN, {"run": {"checkpoint_every": 1}, "attack": attack, "audit": checks}))

    def come_to(outcome: Outcome) -> tuple[list[Any], dict[str, torch.Tensor]]:
        events: list[Any] = [
            {key: value for key, value in event.items() if key != "lines"} for event in events_of(outcome.directory.path)
        ]
        counts = [outcome.summary[key] for key in ("audited_files", "blamed", "asked")]
        return [*events, counts], {name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}

    # After 10 steps the lie of step 11 is found, training goes back to step 6, and after two more to step 3.
    after = (11, 14)
    watch = Copies(Path(config.run.output_dir) / config.run.name, *after)
    events, weights = come_to(run_here(config, objects=Objects(attack=LiesAt(*lies)), progress=watch))
    assert [event["to"] for event in events[:-1] if event["event"] == "rollback"] == [6, 3, 0]
    assert same_weights(weights, honest())
    for played in after:
        killed = replace(config, run=replace(config.run, name=f"killed after {played}"))
        again, found = come_to(run_here(killed, objects=Objects(attack=LiesAt(*lies)), resume=True))
        assert again == events, played
        assert same_weights(found, weights), played


def test_a_job_that_was_killed_before_it_went_back_goes_back_when_it_goes_on(
    tiny_run: Maker,
    honest: Callable[..., dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lies = (10, 11)
    seed = next(seed for seed in range(1000) if _first_drawn(seed, lies) == 11)
    attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "first"}
    config = tiny_run(**merged(PLAIN, {"attack": attack, "audit": {**ROLLBACK, "rate": 0.3, "seed": seed}}))

    def killed(*_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Auditing, "go_back", killed)
        with pytest.raises(KeyboardInterrupt):
            run_here(config, objects=Objects(attack=LiesAt(*lies)))
    outcome = run_here(config, objects=Objects(attack=LiesAt(*lies)), resume=True)
    events = [(event["event"], event["step"]) for event in events_of(outcome.directory.path)]
    assert events == [("conviction", 11), ("rollback", 10), ("conviction", 10), ("rollback", 10)]
    assert same_weights({name: tensor.detach() for name, tensor in outcome.model.state_dict().items()}, honest())


@pytest.mark.parametrize("resumed", [False, True])
def test_ranks_whose_workers_are_expelled_compute_no_more(
    tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    computed = Counter[tuple[int, tuple[int, ...]]]()
    work = Worker.work

    def counting(self: Worker) -> list[Message]:
        computed[self.step, self.workers] += 1
        return work(self)

    monkeypatch.setattr(Worker, "work", counting)

    def run(steps: int, **options: Any) -> tuple[RunDirectory, dict[str, Any]]:
        sections = merged(PLAIN, {"run": {"steps": steps}, "attack": REVERSED, "audit": {"rate": 1.0}})
        return simulate(tiny_run(**sections), num_ranks=16, **options)

    if resumed:
        run(2)
    directory, summary = run(4, resume=resumed)
    assert sorted(summary["expelled"], key=int) == ["0", "1", "2", "3", "4"]
    first, second, *_ = read_metrics(directory.metrics)
    for step in (2, 3, 4):
        assert {worker for when, (worker,) in computed if when == step} == set(range(5, 15))
    assert second["bytes_sent"] < 0.8 * first["bytes_sent"]  # without the parameters of 5 ranks
    assert second["gradients"] == first["gradients"] == 15  # each file once, also those that others compute
    assert not any(counts["timeout"] for counts in summary["blamed"].values())


def test_a_job_that_goes_on_reads_the_record_once(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, read = [], record.read_json_lines
    monkeypatch.setattr(record, "read_json_lines", lambda path: reads.append(path) or read(path))
    simulate(tiny_run(audit={"record": True}))
    directory, _ = simulate(tiny_run(run={"steps": 6}, audit={"record": True}), resume=True)
    assert reads == 2 * [directory.record]


def test_a_run_can_go_on_with_audits_that_was_begun_without(tiny_run: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    without = merged(PLAIN, {"attack": {"name": "reversed_gradient", "num_byzantine": 2}, "aggregation": {"num_corrupted": 0}})
    simulate(tiny_run(**merged(without, {"run": {"steps": 4}})))
    directory, summary = simulate(tiny_run(**merged(without, {"audit": {"rate": 1.0}})), resume=True)
    assert [proof["step"] for proof in summary["expelled"].values()] == [5, 5]
    assert main(["verify", str(directory.path)]) == 0
    assert "8 of 8 steps as a whole" in capsys.readouterr().out


def test_a_proof_outlives_the_steps_that_a_crash_has_undone(tiny_run: Maker) -> None:
    config = tiny_run(**merged(PLAIN, {"attack": REVERSED, "audit": {"rate": 1.0}}))
    directory, _ = simulate(config)
    for _, path in all_checkpoints(directory.checkpoints):
        path.unlink()
    _, summary = simulate(tiny_run(**merged(PLAIN, {"attack": REVERSED, "audit": {"rate": 1.0}})), resume=True)
    assert summary["audited_files"] == 12 * 15
    evidence = [event["evidence"] for event in events_of(directory.path)]
    assert evidence == ["audit"] * 5 + ["replay"] * 5  # who was convicted in step 1 has no vote in it, the second time


def test_a_checkpoint_of_steps_that_were_undone_is_not_gone_on_from(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.jsonl")
    log.go_back(9, to=4)
    assert log.undid({"step": 6, "attempt": 0})
    assert not log.undid({"step": 4, "attempt": 0})
    assert not log.undid({"step": 6, "attempt": 1})
    log.go_back(6, to=2)
    assert log.undid({"step": 4, "attempt": 0})
    assert log.undid({"step": 6, "attempt": 1})
    log.close()


REFUSED = {
    "audit.rollback: nobody is convicted without": {"audit": {"rollback": True}},
    "audit.probation: nobody is convicted without": {"audit": {"probation": 3}},
    'audit.expel: "never" expels nobody': {"audit": {"rate": 0.1, "expel": "never", "rollback": True}},
    'audit.by: "workers" have no idle time': {"audit": {"rate": "idle", "by": "workers"}},
    "audit: needs single files and the plain vote": {
        "audit": {"rate": 0.1},
        "cluster": {"exchange": "coded"},
        "placement": {"scheme": "cyclic", "replication": 3},
    },
    "unless audit.arbitrate = true settles it": {
        "placement": {"scheme": "frc", "replication": 2},
        "cluster": {"num_workers": 14},
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_audited_is_refused(tiny_run: Maker, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate(tiny_run(**merged(PLAIN, REFUSED[message])))
