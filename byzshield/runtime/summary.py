"""summary.json: what a run came to, and how it ended."""

import resource
import statistics
from typing import Any, Literal

from byzshield.errors import RunStopped
from byzshield.guarantee import guarantee_in_words
from byzshield.runtime.builder import Builder
from byzshield.runtime.components import one_line
from byzshield.runtime.metrics import MetricsLog
from byzshield.training import ParameterServer

__all__ = ["peak_rss_bytes", "summarize", "summarize_early_end"]


def summarize(
    builder: Builder,
    server: ParameterServer,
    metrics: MetricsLog,
    *,
    worker_peak_rss_bytes: int | None,
    status: Literal["complete", "stopped", "failed"] = "complete",
    reason: str = "",
) -> dict[str, Any]:
    """The contents of summary.json; seconds are medians over the steps, those of computing the slowest rank's.

    Args:
        builder: the run.
        server: after its last step.
        metrics: of all steps.
        worker_peak_rss_bytes: the most memory that a worker's process has held; None if nobody told.
        status: whether all steps were done, the run was told to end early, or it failed.
        reason: why it ended early.
    """
    config, lines = builder.config, metrics.lines
    evaluated = next((line for line in reversed(lines) if "test_loss" in line), {"step": None})
    if status == "complete" and evaluated["step"] != server.step:
        results = builder.evaluate(server.state.model)
        evaluated = {"step": server.step, **{f"test_{name}": value for name, value in results.items()}}
    tested = {name: value for name, value in evaluated.items() if name.startswith("test_")}
    return {
        "status": status,
        "reason": reason,
        "steps": server.step,
        "test_accuracy": None,  # where there are no classes
        "test_loss": None,
        **tested,
        "evaluated_at": evaluated["step"],
        "train_loss": next((line["loss"] for line in reversed(lines) if "loss" in line), None),
        "step_seconds_median": _median(lines, "seconds"),
        "server_bytes_received_per_step": round(_median(lines, "bytes_received")),
        "server_bytes_sent_per_step": round(_median(lines, "bytes_sent")),
        "server_peak_rss_bytes": peak_rss_bytes(),
        "worker_peak_rss_bytes": worker_peak_rss_bytes,
        "aggregation_seconds_median": _median(lines, "aggregation_seconds"),
        "compute_seconds_median": _median(lines, "compute_seconds_max"),
        "communication_seconds_median": _median(lines, "communication_seconds"),
        "corrupted_files_max": max((line.get("corrupted_files", 0) for line in lines), default=0),
        "num_files": builder.assignment.num_files,
        **_audits(builder, server, lines),
        "undecided_files": sum(line.get("undecided_files", 0) for line in lines),
        "skipped_steps": sum(not line.get("applied", True) for line in lines),
        "blamed": server.blame.report(),
        "asked": server.blame.asked(),
        "scheme": config.placement.scheme,
        "attack": config.attack.name if config.attack.num_byzantine else "none",
        "num_workers": builder.assignment.num_workers,
        "num_byzantine": config.attack.num_byzantine,
        "aggregator": config.aggregation.rule,
        "exchange": config.cluster.exchange,
        "seed": config.run.seed,
    }


def _audits(builder: Builder, server: ParameterServer, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Who is expelled, what was checked and what that promises; nothing in a run without audits."""
    if not lines or "audited" not in lines[-1]:
        return {}
    proofs, section, undone = server.convictions.proofs.items(), builder.config.audit, lines[-1]["rolled_back_steps"]
    share = server.checked["audited"] / (builder.assignment.num_files * max(1, server.step + undone))
    return {
        "expelled": {str(worker): {"step": each.step, "file": each.file, "evidence": each.evidence} for worker, each in proofs},
        "audited_files": server.checked["audited"],
        "arbitrations": server.checked["arbitrated"],
        "rolled_back_steps": undone,
        "guarantee": guarantee_in_words(
            share if section.rate == "idle" else section.rate,
            arbitrated=section.arbitrate,
            witnessed=section.by == "workers",
            idle=section.rate == "idle",
            expels=section.expel == "proof",
        ),
    }


def summarize_early_end(builder: Builder, server: ParameterServer, metrics: MetricsLog, error: BaseException) -> dict[str, Any]:
    """The contents of summary.json after `error` has ended the run."""
    told = isinstance(error, RunStopped | KeyboardInterrupt | SystemExit)
    return summarize(
        builder,
        server,
        metrics,
        worker_peak_rss_bytes=None,
        status="stopped" if told else "failed",
        reason="told to end by a signal" if told else one_line(error),
    )


def peak_rss_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _median(lines: list[dict[str, Any]], key: str) -> float:
    """The median over the steps that have it; 0 if a resumed run finds nothing left to do and its metrics gone."""
    values = [line[key] for line in lines if key in line]
    return statistics.median(values) if values else 0.0
