"""The training loop at the server, the same for an MPI job and for a simulation."""

import statistics
import time
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from typing import Any

from byzshield.config import RunConfig, resume_hash
from byzshield.errors import ByzShieldError, DivergedError, RunStopped, StalledError
from byzshield.log import get_logger
from byzshield.runtime.auditing import Auditing, GoBack
from byzshield.runtime.breakdown import ExchangeTimes, breakdown
from byzshield.runtime.builder import Builder
from byzshield.runtime.checkpoint import all_checkpoints, newest_sound, save_checkpoint
from byzshield.runtime.evidence import EvidenceLog
from byzshield.runtime.interrupts import postpone_signals
from byzshield.runtime.metrics import MetricsLog
from byzshield.runtime.not_finite import explained
from byzshield.runtime.progress import Progress, Silent
from byzshield.runtime.provenance import record_agreement, record_start
from byzshield.runtime.run_directory import RunDirectory
from byzshield.runtime.summary import summarize_early_end
from byzshield.runtime.wording import in_words
from byzshield.runtime.writers import Writers
from byzshield.training import ParameterServer

__all__ = ["Progress", "Silent", "resume", "train"]

LOG = get_logger(__name__)


def resume(server: ParameterServer, directory: RunDirectory, config: RunConfig) -> None:
    """Restores the newest checkpoint of the run that is not damaged, if it has one.

    Raises:
        CheckpointError: all are damaged, or it belongs to another run.
    """
    evidence = EvidenceLog(directory.evidence)
    while (found := newest_sound(directory.checkpoints, configuration=resume_hash(config))) is not None:
        path, state = found
        if evidence.undid(state):
            path.unlink()  # the job was killed while it went back
            continue
        server.load_state_dict(state)
        LOG.info("resumed from %s", path)
        break


def train(
    builder: Builder,
    server: ParameterServer,
    run_round: Callable[[], ExchangeTimes],
    directory: RunDirectory,
    progress: Progress,
    stop: Callable[[], bool],
) -> MetricsLog:
    """Trains from the server's step to the run's last; evaluates, records and checkpoints on the way.

    Whatever ends it early, the last finished step is in the metrics and in a checkpoint; if the steps before a failure were
    skipped, the checkpoint is from before them, so that they are done again. No checkpoint has parameters that are not finite.

    Args:
        builder: the run.
        server: at the step to go on from.
        run_round: plays one round until the server has all winners; returns where the time went.
        directory: where the results go.
        progress: is told of every step.
        stop: whether to end after the step that is under way; asked once a step.

    Returns:
        the metrics of all steps.

    Raises:
        RunStopped: `stop` said so.
        StalledError: cluster.max_skipped steps in a row were skipped.
        DivergedError: the model has left the range of numbers.
        ConfigError: what [metrics] asks for cannot be written.
        StorageError: the disk is full, for instance; what was stored before is whole.
    """
    directory.summary.unlink(missing_ok=True)  # until this run has ended, too
    metrics = MetricsLog(directory.metrics, resumed_at=server.step)
    try:
        record_start(directory, builder, step=server.step)
        _evaluate_if_missed(builder, server, metrics)
        with closing(metrics), closing(Auditing(builder.resolved, directory, server)) as auditing:
            while (earlier := _train(builder, server, run_round, directory, metrics, auditing, progress, stop)) is not None:
                metrics.go_back(auditing.go_back(earlier, builder.training_state(server.state.model)))
        if server.step < builder.steps:
            raise RunStopped(f"stopped after step {server.step} of {builder.steps}, which is stored; --resume goes on from there")
    except BaseException as error:
        with suppress(OSError):  # a full disk, for instance, may be what has ended it
            directory.write_summary(summarize_early_end(builder, server, metrics, error))
        if isinstance(error, SystemExit | KeyboardInterrupt):  # a signal, of which mpirun says nothing that a user could go by
            stored = [step for step, _ in all_checkpoints(directory.checkpoints)][-1:]
            LOG.warning("told to end by a signal; --resume goes on from %s", f"step {stored[0]}" if stored else "the start")
        raise
    return metrics


def _train(
    builder: Builder,
    server: ParameterServer,
    run_round: Callable[[], ExchangeTimes],
    directory: RunDirectory,
    metrics: MetricsLog,
    auditing: Auditing,
    progress: Progress,
    stop: Callable[[], bool],
) -> int | None:
    """Trains to the end and returns None, or until training is to go back, and returns to which step."""
    config = builder.resolved
    run = config.run
    saved, skipped = server.step, 0
    state_to_keep: Callable[[], dict[str, Any]] | None = server.state_dict
    writers = Writers(config, directory, metrics.lines)
    progress.start(at=server.step, steps=builder.steps, lines=metrics.lines)
    try:
        auditing.before_steps()
        while server.step < builder.steps and not stop():
            line = _step(builder, server, run_round, metrics, auditing)
            progress.advance(line)
            writers.write()
            skipped = 0 if line["applied"] else skipped + 1
            if skipped and skipped == config.cluster.max_skipped:
                raise StalledError(
                    f"{skipped} steps in a row were skipped, the last with {line['undecided_files']} files undecided "
                    f"({line['reason']}); what was done up to step {server.step - skipped} is stored, and summary.json says who "
                    "was silent: mend that and go on with --resume"
                )
            if config.metrics.log_every and server.step % config.metrics.log_every == 0:
                LOG.info("step %d of %d: %s", server.step, run.steps, in_words(line))
            if run.checkpoint_every and server.step % run.checkpoint_every == 0:
                saved = _save(directory, metrics, auditing, server.state_before_skips(), config, saved)
        if server.step == builder.steps:
            auditing.after_last_step()
    except GoBack as back:
        state_to_keep = None
        return back.step
    except ByzShieldError as error:
        state_to_keep = server.state_before_skips
        if isinstance(error, DivergedError):
            error = explained(error, builder, server)
            raise error from error.__cause__
        raise
    finally:
        progress.finish()
        try:
            if state_to_keep is not None and server.state.finite:
                auditing.break_off()
                _save(directory, metrics, auditing, state_to_keep(), config, saved)
        finally:
            writers.close()
    return None


def _save(
    directory: RunDirectory, metrics: MetricsLog, auditing: Auditing, state: dict[str, Any], config: RunConfig, saved: int
) -> int:
    """Writes a checkpoint if it is of a later step than `saved`; returns the step of the newest.

    A step whose line could not be written gets none: the run goes on from the step before, and does it again.
    """
    step: int = state["step"]
    if not saved < step <= metrics.last_step:
        return saved
    metrics.sync()
    auditing.sync()
    record_agreement(directory, state)
    save_checkpoint(directory.checkpoints, state, configuration=resume_hash(config), keep=config.run.keep_checkpoints)
    return step


def _step(
    builder: Builder, server: ParameterServer, run_round: Callable[[], ExchangeTimes], metrics: MetricsLog, auditing: Auditing
) -> dict[str, Any]:
    """Plays and records one step; a signal ends it before the weights move, or after their line is written."""
    config = builder.config
    received, sent, learning_rate = server.bytes_received, server.bytes_sent, server.state.learning_rate
    began = time.perf_counter()
    exchange = run_round()
    exchanged = time.perf_counter()
    auditing.after_votes()
    gradients = server.gradients
    # No rank has computed for longer than the round took, whatever it says.
    computing = [min(seconds, exchanged - began) for seconds in server.compute_seconds.values()] or [0.0]
    aggregate = server.aggregate()
    aggregated = time.perf_counter()
    with postpone_signals() as postponed:
        outcome = server.close_round(aggregate)
        auditing.after_step(outcome, aggregate)
        del aggregate  # which has room again for what the evaluation takes
        ended = time.perf_counter()
        line: dict[str, Any] = {
            "step": outcome.step,
            "epoch": 1 + (outcome.step - 1) // builder.sampler.steps_per_epoch,
            "seconds": ended - began,
            "exchange_seconds": exchanged - began,
            "aggregation_seconds": aggregated - exchanged,
            "compute_seconds_median": statistics.median(computing),
            "compute_seconds_max": max(computing),
            "communication_seconds": exchanged - began - max(computing),
            "breakdown": breakdown(
                exchange, computing=max(computing), aggregate=aggregated - exchanged, update=ended - aggregated
            ),
            "gradients": gradients,
            "bytes_received": server.bytes_received - received,
            "bytes_sent": server.bytes_sent - sent,
            "lr": learning_rate,
            "corrupted_files": len(builder.selection.corrupted_at(outcome.step, outcome.discarded)),
            "undecided_files": len(outcome.undecided),
            "non_finite_files": len(outcome.non_finite),
            "applied": outcome.applied,
        }
        if builder.detection is not None or builder.code is not None:
            line["discarded_workers"] = list(outcome.discarded)
        if config.optimizer.accumulate > 1:
            line["updated"] = outcome.updated
        if outcome.gradient_norm is not None:
            line["gradient_norm"] = outcome.gradient_norm
        if outcome.loss is not None:
            line["loss"] = outcome.loss
        if outcome.reason:
            line["reason"] = outcome.reason
        if outcome.blamed:
            line["blamed"] = outcome.blamed
        if config.audit.enabled:
            line["corrupted_files"] = _believed_of(builder.selection.byzantine_at(outcome.step), server)
            line |= {"audited": list(outcome.audited), "arbitrated": list(outcome.arbitrated)}
            line |= {"expelled": sorted(server.convictions.expelled), "rolled_back_steps": auditing.rolled_back_steps}
        try:
            if _is_evaluated(builder, outcome.step):
                with postponed.delivered():
                    line |= _evaluated(builder, server)
        finally:
            metrics.write(line)
    return line


def _is_evaluated(builder: Builder, step: int) -> bool:
    """Whether the model is evaluated after a step."""
    every = builder.config.run.eval_every
    return step == builder.steps or bool(every and step % every == 0)


def _evaluated(builder: Builder, server: ParameterServer) -> dict[str, float]:
    return {f"test_{name}": value for name, value in builder.evaluate(server.state.model).items()}


def _evaluate_if_missed(builder: Builder, server: ParameterServer, metrics: MetricsLog) -> None:
    """Makes up for the evaluation of the last step if a signal has ended it."""
    line = metrics.lines[-1] if metrics.lines else {"step": None}
    if line["step"] == server.step and _is_evaluated(builder, server.step) and not any(key.startswith("test_") for key in line):
        metrics.replace_last({**line, **_evaluated(builder, server)})


def _believed_of(byzantine: Collection[int], server: ParameterServer) -> int:
    """How many files of the newest round Byzantine workers alone have decided."""
    voters = [ballot.supporters for file, ballot in enumerate(server.ballots) if file not in server.settled]
    return sum(bool(supporters) and set(supporters) <= set(byzantine) for supporters in voters)
