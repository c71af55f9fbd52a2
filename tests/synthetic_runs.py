"""Directories of runs as training leaves them, without the training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from byzshield.config import dump, from_table
from byzshield.placement import build

__all__ = ["make_run", "record_workers"]

STEPS = 20


def make_run(
    path: Path, *, accuracy: float = 0.5, status: str | None = "complete", reason: str = "", lines: int = STEPS, **sections: Any
) -> Path:
    """Makes the directory of a run.

    Args:
        path: the directory.
        accuracy: at the end; it grows linearly.
        status: of the summary; None leaves it without a summary.
        reason: of the summary.
        lines: of metrics.jsonl; every fifth step is evaluated.
        sections: of the run file.
    """
    path.mkdir(parents=True)
    config = from_table({"cluster": {"num_workers": 15}, "attack": {"num_byzantine": 3}, **sections})
    (path / "config.toml").write_text(dump(config))
    rows: list[dict[str, Any]] = []
    for step in range(1, lines + 1):
        row = {"step": step, "seconds": 0.1, "bytes_received": 2_000_000, "bytes_sent": 300_000, "corrupted_files": 3}
        row |= {
            "exchange_seconds": 0.08,
            "aggregation_seconds": 0.015,
            "compute_seconds_max": 0.05,
            "communication_seconds": 0.03,
        }
        row |= {"loss": 3 - step / STEPS, "undecided_files": 0, "applied": True}
        rows.append(row | ({"test_accuracy": accuracy * step / STEPS} if step % 5 == 0 else {}))
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if status is not None:
        summary = {
            "status": status,
            "reason": reason,
            "steps": lines,
            "scheme": config.placement.scheme,
            "attack": config.attack.name,
            "aggregator": config.aggregation.rule,
            "num_byzantine": config.attack.num_byzantine,
            "num_workers": 15,
            "seed": config.run.seed,
        }
        if status == "complete":
            summary |= {
                "test_accuracy": accuracy,
                "num_files": 25,
                "corrupted_files_max": 3,
                "step_seconds_median": 0.1,
                "server_bytes_received_per_step": 2_000_000,
            }
        (path / "summary.json").write_text(json.dumps(summary))
    return path


def record_workers(path: Path, *, scheme: str, num_byzantine: int, byzantine: tuple[int, ...] | None = None) -> None:
    """Adds what a run records of its workers and of the job, and what is held against the first q workers, or those named."""
    assignment = build(scheme, num_workers=15, replication=3, load=None)
    liars = set(range(num_byzantine)) if byzantine is None else set(byzantine)
    byzantine_copies = np.isin(assignment.workers_of, list(liars)).sum(axis=1)
    corrupted = np.flatnonzero(2 * byzantine_copies > assignment.replication).tolist()
    placement = {**assignment.as_json(), "byzantine": sorted(liars), "corrupted_files": corrupted}
    (path / "placement.json").write_text(json.dumps(placement))
    shared = assignment.shared
    pairs = [
        (low, high, int(shared[low, high]), int(shared[low, high]) if (low in liars) != (high in liars) else 0)
        for high in range(15) for low in range(high) if shared[low, high]
    ]  # fmt: skip
    if pairs:
        (path / "agreement.json").write_text(json.dumps({"step": STEPS, "pairs": pairs}))
    job = {
        "step": 0,
        "began": "2026-01-02T03:04:05+0000",
        "command": f"byzshield simulate {scheme}.toml",
        "ranks": 2,
        "host": "desk",
    }
    (path / "jobs.jsonl").write_text(json.dumps({**job, "commit": "0123456789" * 4, "torch": "2.9", "python": "3.11"}) + "\n")
    if (path / "summary.json").exists():
        summary = json.loads((path / "summary.json").read_text())
        summary["blamed"] = {str(worker): {"minority": 4, "payload_mismatch": worker % 2} for worker in sorted(liars)}
        summary["asked"] = {str(worker): {"steps": 20, "votes": 100, "payloads": 20} for worker in range(15)}
        (path / "summary.json").write_text(json.dumps(summary))
