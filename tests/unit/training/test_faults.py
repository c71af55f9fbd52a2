"""Faults by (worker, step) against the real server and workers, one worker a rank, in simulated time."""

import copy
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.attacks import ATTACKS
from byzshield.attacks.message_attack import MessageAttack
from byzshield.config import RunConfig
from byzshield.runtime import simulate
from byzshield.runtime.builder import Builder
from byzshield.runtime.checkpoint import load_checkpoint
from byzshield.runtime.metrics import read_metrics
from byzshield.training import Worker

Maker = Callable[..., RunConfig]
LIAR = 3


def run(config: RunConfig) -> tuple[Path, dict[str, Any]]:
    directory, summary = simulate(config, num_ranks=16, overwrite=True)
    return directory.path, summary


@pytest.fixture(scope="module")
def trained() -> dict[str, dict[str, torch.Tensor]]:
    """The weights of runs that nobody attacks, by their exchange: they are trained once, and compared with again and again."""
    return {}


@pytest.fixture
def honest_weights(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], trained: dict[str, dict[str, torch.Tensor]]
) -> Callable[[str], dict[str, torch.Tensor]]:
    """Returns a function that trains the tiny run over an exchange, without anybody who attacks it, and returns the weights."""

    def train(exchange: str) -> dict[str, torch.Tensor]:
        if exchange not in trained:
            trained[exchange] = weights_of(run(tiny_run(cluster={"exchange": exchange}))[0])
        return trained[exchange]

    return train


def attacked_by(tiny_run: Maker, fault: str, workers: tuple[int, ...] = (LIAR,), **more: Any) -> RunConfig:
    attack = {
        "name": fault,
        "num_byzantine": len(workers),
        "selection": "fixed",
        "workers": list(workers),
        **more.pop("attack", {}),
    }
    return tiny_run(attack=attack, **more)


@dataclass(frozen=True)
class Expected:
    """What one faulty worker does, and what it is counted for in the digest and in the full exchange; None for nothing.

    Only an attack on what a worker delivers needs one that is asked to deliver, which in the simulator worker 0 is.
    """

    name: str
    digest: str | None
    full: str | None
    options: dict[str, Any] = field(default_factory=dict)
    liar: int = LIAR


MESSAGE_ATTACKS = [
    Expected("wrong_length", "malformed", "malformed"),
    Expected("wrong_length", "malformed", "malformed", {"difference": 500}),
    Expected("wrong_dtype", "malformed", "malformed"),
    Expected("truncation", "malformed", "malformed"),
    Expected("bad_compression", "malformed", "malformed", liar=0),
    Expected("garbage", "malformed", "malformed"),
    Expected("silence", None, None),
    Expected("no_delivery", "timeout", None, liar=0),
    Expected("lateness", None, None),
    Expected("lateness", None, None, {"delay": 2}),
    Expected("death", "malformed", None, {"at_steps": [2]}),
    Expected("wrong_step", "minority", "minority"),
    Expected("wrong_step", None, None, {"offset": -2}),
    Expected("wrong_step", "malformed", "malformed", {"offset": 5}),
    Expected("replay", "minority", "minority"),
    Expected("repetition", "malformed", "malformed"),
    Expected("wrong_digest", "minority", None),
    Expected("digest_payload_mismatch", "payload_mismatch", "minority", liar=0),
    Expected("changing_payload", "payload_mismatch", "minority", liar=0),
    Expected("double_vote", "malformed", "malformed"),
    Expected("impersonation", "malformed", "malformed"),
    Expected("last_bit_flip", "minority", "minority"),
]


def test_every_message_attack_is_tried() -> None:
    registered = {name for name, attack in ATTACKS.items() if issubclass(attack, MessageAttack)}
    assert {expected.name for expected in MESSAGE_ATTACKS} == registered


@pytest.mark.parametrize("exchange", ["digest", "full"])
@pytest.mark.parametrize("expected", MESSAGE_ATTACKS, ids=lambda expected: f"{expected.name}{expected.options or ''}")
def test_one_faulty_worker_changes_no_bit_and_is_counted_for_what_it_does(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    honest_weights: Callable[[str], dict[str, torch.Tensor]],
    expected: Expected,
    exchange: str,
) -> None:
    cluster = {"exchange": exchange}
    path, summary = run(attacked_by(tiny_run, expected.name, (expected.liar,), cluster=cluster, attack=expected.options))
    assert same_weights(weights_of(path), honest_weights(exchange))
    assert summary["undecided_files"] == 0
    cause = expected.digest if exchange == "digest" else expected.full
    counted = {
        (int(worker), caught) for worker, counts in summary["blamed"].items() for caught, number in counts.items() if number
    }
    assert counted == ({(expected.liar, cause)} if cause else set())


def test_lies_are_counted_only_at_the_steps_where_they_are_told(tiny_run: Maker) -> None:
    config = attacked_by(tiny_run, "wrong_digest", attack={"at_steps": [2]})
    _, summary = run(config)
    # Of its five files, two are decided without it.
    assert summary["blamed"] == {
        str(LIAR): {
            "minority": 3,
            "payload_mismatch": 0,
            "audit": 0,
            "malformed": 0,
            "slow": 0,
            "timeout": 0,
            "lost": 0,
            "non_finite": 0,
        }
    }


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("digest_payload_mismatch", "payload_mismatch"), ("bad_compression", "malformed"), ("no_delivery", "timeout")],
)
def test_a_dishonest_provider_is_counted_and_replaced(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    honest_weights: Callable[[str], dict[str, torch.Tensor]],
    fault: str,
    cause: str,
) -> None:
    # Every third of the workers: among any file's first two voters there is often one of them.
    liars = (0, 1, 2, 3, 4)
    path, summary = run(attacked_by(tiny_run, fault, liars, aggregation={"num_corrupted": 0}))
    assert same_weights(weights_of(path), honest_weights("digest"))
    assert summary["undecided_files"] == 0
    assert set(summary["blamed"]) <= {str(worker) for worker in liars}
    assert sum(counts[cause] for counts in summary["blamed"].values()) > 0
    assert sum(sum(counts.values()) - counts[cause] for counts in summary["blamed"].values()) == 0


@pytest.mark.parametrize(
    ("fault", "exchange", "undecided", "causes"),
    [
        ("wrong_digest", "digest", 4, {"payload_mismatch"}),
        ("wrong_length", "full", 4, {"malformed", "timeout"}),
        ("lateness", "digest", 4, {"timeout"}),
        ("lateness", "full", 4, {"timeout"}),
    ],
)
def test_accomplices_with_a_majority_can_only_leave_their_file_undecided(
    tiny_run: Maker, fault: str, exchange: str, undecided: int, causes: set[str]
) -> None:
    # Workers 0 and 5 share exactly one file.
    sections = {"aggregation": {"num_corrupted": 1}, "cluster": {"exchange": exchange}}
    _, summary = run(attacked_by(tiny_run, fault, (0, 5), **sections))
    assert summary["undecided_files"] == undecided
    caught = {
        worker: {cause for cause, number in counts.items() if number} - {"minority"}  # the honest third worker is outvoted, too
        for worker, counts in summary["blamed"].items()
    }
    assert {worker: proven for worker, proven in caught.items() if proven} == {"0": causes, "5": causes}


@pytest.mark.parametrize("exchange", ["digest", "full"])
@pytest.mark.parametrize("fault", ["last_bit_flip", "replay"])
def test_accomplices_who_send_the_same_win_the_file_of_which_they_hold_a_majority(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    honest_weights: Callable[[str], dict[str, torch.Tensor]],
    fault: str,
    exchange: str,
) -> None:
    cluster = {"exchange": exchange}
    path, summary = run(attacked_by(tiny_run, fault, (0, 5), cluster=cluster))
    assert summary["undecided_files"] == 0
    assert not same_weights(weights_of(path), honest_weights(exchange))
    assert set(summary["blamed"]) > {"0", "5"}  # in their other files, and the outvoted third worker


def test_a_file_with_two_silent_workers_is_undecided_and_both_are_named(tiny_run: Maker) -> None:
    # Workers 0 and 5 share exactly one file.
    _, summary = run(attacked_by(tiny_run, "silence", (0, 5), aggregation={"num_corrupted": 1}, attack={"at_steps": [2, 3]}))
    assert summary["undecided_files"] == 2
    assert summary["skipped_steps"] == 0
    assert {worker: counts["timeout"] for worker, counts in summary["blamed"].items()} == {"0": 2, "5": 2}


def test_a_step_with_too_few_files_is_skipped_not_guessed(tiny_run: Maker) -> None:
    silent = tuple(range(10))  # two of the three copies of every file
    attack = {"at_steps": [2]}
    _, summary = run(attacked_by(tiny_run, "silence", silent, aggregation={"num_corrupted": 0}, attack=attack))
    assert summary["undecided_files"] == 25
    assert summary["skipped_steps"] == 1
    assert summary["steps"] == 4


@pytest.mark.parametrize(("schedule", "rate"), [("exponential_steps", 0.1 * 0.5**5), ("ExponentialLR", 0.1 * 0.5**3)])
def test_only_a_schedule_of_ours_counts_a_skipped_step(tiny_run: Maker, schedule: str, rate: float) -> None:
    options = {"step_size": 1} if schedule == "exponential_steps" else {}
    path, summary = run(
        attacked_by(
            tiny_run,
            "silence",
            tuple(range(10)),
            aggregation={"num_corrupted": 0},
            attack={"at_steps": [2]},
            schedule={"name": schedule, "gamma": 0.5, **options},
        )
    )
    assert summary["skipped_steps"] == 1
    (checkpoint,) = (path / "checkpoints").glob("step_4.pt")
    assert load_checkpoint(checkpoint)["optimizer"]["param_groups"][0]["lr"] == pytest.approx(rate)


def test_a_quorum_skips_the_step(tiny_run: Maker) -> None:
    config = attacked_by(
        tiny_run, "silence", (0, 5), aggregation={"num_corrupted": 1}, attack={"at_steps": [2]}, cluster={"quorum": 1.0}
    )
    assert run(config)[1]["skipped_steps"] == 1


def test_a_majority_of_colluders_wins_its_files_and_the_honest_minority_is_outvoted(tiny_run: Maker) -> None:
    _, summary = run(tiny_run(attack={"name": "constant", "num_byzantine": 3, "selection": "worst"}))
    assert summary["corrupted_files_max"] == 3
    assert summary["undecided_files"] == 0
    byzantine_files = 3
    honest_outvoted = [counts["minority"] for counts in summary["blamed"].values() if counts["minority"] == 4]
    assert len(honest_outvoted) == byzantine_files  # one honest worker a file, once a step


def test_a_non_finite_winner_is_dropped_and_its_senders_are_counted(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]]
) -> None:
    path, summary = run(attacked_by(tiny_run, "fault_attacks:NotFinite", (0, 5)))
    weights = weights_of(path)
    assert all(torch.isfinite(values).all() for values in weights.values())
    assert {worker for worker, counts in summary["blamed"].items() if counts["non_finite"]} == {"0", "5"}
    assert summary["skipped_steps"] == 0


def test_no_rank_has_computed_for_longer_than_the_step_took_whatever_it_says(tiny_run: Maker) -> None:
    path, summary = run(attacked_by(tiny_run, "fault_attacks:Boastful", (0, 5)))
    lines = read_metrics(path / "metrics.jsonl")
    assert all(line["compute_seconds_max"] == line["exchange_seconds"] for line in lines)
    assert (summary["communication_seconds_median"], summary["blamed"]) == (0, {})

    lines = read_metrics(run(tiny_run(run={"name": "honest"}))[0] / "metrics.jsonl")
    for line in lines:
        assert 0 < line["compute_seconds_median"] <= line["compute_seconds_max"] < line["exchange_seconds"]
        assert line["compute_seconds_max"] + line["communication_seconds"] == pytest.approx(line["exchange_seconds"])


def test_digest_and_full_exchange_train_the_same_weights(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    attack = {"name": "alie", "num_byzantine": 3}
    digest_path, digest = run(tiny_run(attack=attack))
    full_path, full = run(tiny_run(attack=attack, run={"name": "full"}, cluster={"exchange": "full"}))
    assert same_weights(weights_of(digest_path), weights_of(full_path))
    assert digest["server_bytes_received_per_step"] < full["server_bytes_received_per_step"]


def test_weights_do_not_depend_on_how_many_workers_share_a_process(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], same_weights: Callable[..., bool]
) -> None:
    for attack in (
        {"name": "alie", "num_byzantine": 3},
        {"name": "fall_of_empires", "num_byzantine": 4, "knowledge": "own", "selection": "random"},
        {"name": "fall_of_empires", "num_byzantine": 4, "selection": "random", "redraw_every": 3},
        {"name": "reversed_gradient", "num_byzantine": 3, "selection": "first"},
    ):
        results = []
        for num_ranks in (2, 3, 6, 16):
            directory, _ = simulate(tiny_run(attack=attack), num_ranks=num_ranks, overwrite=True)
            results.append(weights_of(directory.path))
        assert all(same_weights(results[0], result) for result in results[1:])
        assert np.isfinite(float(next(iter(results[0].values())).sum()))


@pytest.mark.parametrize("exchange", ["digest", "full"])
def test_a_worker_that_cannot_read_its_samples_is_outvoted_and_changes_no_bit(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    honest_weights: Callable[[str], dict[str, torch.Tensor]],
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make, honest = Builder.worker, honest_weights(exchange)

    class Broken:
        def train_batch(self, *_: Any, **__: Any) -> Any:
            raise OSError(5, "Input/output error", "sample.png")

    def worker(self: Builder, rank: int) -> Worker:
        made = make(self, rank)
        if rank == LIAR + 1:
            made._computer = copy.copy(made._computer)
            made._computer._data = Broken()  # type: ignore[assignment]
        return made

    monkeypatch.setattr(Builder, "worker", worker)
    with caplog.at_level(logging.WARNING, logger="byzshield"):
        directory, summary = run(tiny_run(cluster={"exchange": exchange}))
    assert same_weights(weights_of(directory), honest)
    assert summary["blamed"][str(LIAR)]["minority"] > 0
    assert not any(summary["blamed"].get(str(worker)) for worker in range(15) if worker != LIAR)
    told = [record.message for record in caplog.records if "cannot be computed" in record.message]
    assert re.match(r"file \d+ of step 1 cannot be computed: OSError: .* error: 'sample.png' \(test_faults.py, line", told[0])
    assert len(told) < 6  # of 12 or more
