"""Faults by (worker, step) against the real server and workers, one worker a rank, in simulated time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.config import RunConfig
from byzshield.runtime import simulate
from byzshield.runtime.checkpoint import load_checkpoint

Maker = Callable[..., RunConfig]
LIAR = 3


def run(config: RunConfig) -> tuple[Path, dict[str, Any]]:
    directory, summary = simulate(config, num_ranks=16, overwrite=True)
    return directory.path, summary


def attacked_by(tiny_run: Maker, fault: str, workers: tuple[int, ...] = (LIAR,), **more: Any) -> RunConfig:
    attack = {
        "name": f"fault_attacks:{fault}",
        "num_byzantine": len(workers),
        "selection": "fixed",
        "workers": list(workers),
        **more.pop("attack", {}),
    }
    return tiny_run(attack=attack, **more)


@pytest.mark.parametrize("exchange", ["digest", "full"])
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("LieInDigest", "minority"),
        ("LieInPayload", None),
        ("DamagedPayload", None),
        ("Silence", None),
        ("VotesButNeverDelivers", None),
        ("Garbage", "malformed"),
        ("VotesTwice", "malformed"),
        ("SpeaksForOthers", "malformed"),
        ("FromTheFuture", "malformed"),
    ],
)
def test_one_faulty_worker_changes_no_bit_and_nobody_else_is_blamed(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    fault: str,
    cause: str | None,
    exchange: str,
) -> None:
    cluster = {"exchange": exchange}
    honest = weights_of(run(tiny_run(cluster=cluster))[0])
    path, summary = run(attacked_by(tiny_run, fault, cluster=cluster))
    assert same_weights(weights_of(path), honest)
    assert set(summary["blamed"]) <= {str(LIAR)}
    assert summary["undecided_files"] == 0
    if cause is not None and exchange == "digest":
        assert summary["blamed"][str(LIAR)][cause] > 0


def test_lies_are_counted_only_at_the_steps_where_they_are_told(tiny_run: Maker) -> None:
    config = attacked_by(tiny_run, "LieInDigest", attack={"at_steps": [2]})
    _, summary = run(config)
    # Five files, and every vote of step 2 has arrived when the run ends.
    assert summary["blamed"] == {
        str(LIAR): {"minority": 5, "payload_mismatch": 0, "malformed": 0, "timeout": 0, "lost": 0, "non_finite": 0}
    }


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("LieInPayload", "payload_mismatch"), ("DamagedPayload", "malformed"), ("VotesButNeverDelivers", "timeout")],
)
def test_a_dishonest_provider_is_counted_and_replaced(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    fault: str,
    cause: str,
) -> None:
    # Every third of the workers: among any file's first two voters there is often one of them.
    liars = (0, 1, 2, 3, 4)
    path, summary = run(attacked_by(tiny_run, fault, liars, aggregation={"num_corrupted": 0}))
    honest = weights_of(run(tiny_run())[0])
    assert same_weights(weights_of(path), honest)
    assert summary["undecided_files"] == 0
    assert set(summary["blamed"]) <= {str(worker) for worker in liars}
    assert sum(counts[cause] for counts in summary["blamed"].values()) > 0
    assert sum(sum(counts.values()) - counts[cause] for counts in summary["blamed"].values()) == 0


def test_a_file_with_two_silent_workers_is_undecided_and_both_are_named(tiny_run: Maker) -> None:
    # Workers 0 and 5 share exactly one file.
    _, summary = run(attacked_by(tiny_run, "Silence", (0, 5), aggregation={"num_corrupted": 1}, attack={"at_steps": [2, 3]}))
    assert summary["undecided_files"] == 2
    assert summary["skipped_steps"] == 0
    assert {worker: counts["timeout"] for worker, counts in summary["blamed"].items()} == {"0": 2, "5": 2}


def test_a_step_with_too_few_files_is_skipped_not_guessed(tiny_run: Maker) -> None:
    silent = tuple(range(10))  # two of the three copies of every file
    attack = {"at_steps": [2]}
    _, summary = run(attacked_by(tiny_run, "Silence", silent, aggregation={"num_corrupted": 0}, attack=attack))
    assert summary["undecided_files"] == 25
    assert summary["skipped_steps"] == 1
    assert summary["steps"] == 4


@pytest.mark.parametrize(("schedule", "rate"), [("exponential_steps", 0.1 * 0.5**5), ("ExponentialLR", 0.1 * 0.5**3)])
def test_only_a_schedule_of_ours_counts_a_skipped_step(tiny_run: Maker, schedule: str, rate: float) -> None:
    options = {"step_size": 1} if schedule == "exponential_steps" else {}
    path, summary = run(
        attacked_by(
            tiny_run,
            "Silence",
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
        tiny_run, "Silence", (0, 5), aggregation={"num_corrupted": 1}, attack={"at_steps": [2]}, cluster={"quorum": 1.0}
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
    path, summary = run(attacked_by(tiny_run, "NotFinite", (0, 5)))
    weights = weights_of(path)
    assert all(torch.isfinite(values).all() for values in weights.values())
    assert {worker for worker, counts in summary["blamed"].items() if counts["non_finite"]} == {"0", "5"}
    assert summary["skipped_steps"] == 0


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
        {"name": "reversed_gradient", "num_byzantine": 3, "selection": "first"},
    ):
        results = []
        for num_ranks in (2, 3, 6, 16):
            directory, _ = simulate(tiny_run(attack=attack), num_ranks=num_ranks, overwrite=True)
            results.append(weights_of(directory.path))
        assert all(same_weights(results[0], result) for result in results[1:])
        assert np.isfinite(float(next(iter(results[0].values())).sum()))
