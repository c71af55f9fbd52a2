"""Directories of runs as training leaves them, without the training."""

import json
from pathlib import Path
from typing import Any

from byzshield.config import dump, from_table

__all__ = ["make_run"]

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
        row = {"step": step, "seconds": 0.1, "bytes_received": 2_000_000, "corrupted_files": 3, "loss": 3 - step / STEPS}
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
