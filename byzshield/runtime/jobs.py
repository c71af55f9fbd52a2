"""The two ways to run a job: under MPI, and simulated in one process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from byzshield.config import RunConfig
from byzshield.errors import STOPPED, ByzShieldError, DivergedError, HandshakeError, RunStopped, StalledError
from byzshield.limits import require_open_files
from byzshield.log import get_logger
from byzshield.runtime import handshake, loop, pump
from byzshield.runtime.allocator import keep_freed_memory
from byzshield.runtime.builder import Builder
from byzshield.runtime.compression_trial import CompressionTrial
from byzshield.runtime.memories import MemoryFolder
from byzshield.runtime.objects import Objects
from byzshield.runtime.run_directory import RunDirectory, open_run
from byzshield.runtime.simulation import Simulation
from byzshield.runtime.summary import peak_rss_bytes, summarize
from byzshield.wire import SERVER_RANK, messages

__all__ = ["Outcome", "run_here", "run_rank", "simulate", "train_mpi"]

LOG = get_logger(__name__)
GOODBYE_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished job leaves.

    Args:
        directory: of the run.
        summary: the contents of summary.json.
        history: the lines of metrics.jsonl.
        model: the server's network after the last step.
    """

    directory: RunDirectory
    summary: dict[str, Any]
    history: list[dict[str, Any]]
    model: nn.Module


def simulate(config: RunConfig, **options: Any) -> tuple[RunDirectory, dict[str, Any]]:
    """As `run_here`; returns the run's directory and the contents of summary.json."""
    outcome = run_here(config, **options)
    return outcome.directory, outcome.summary


def train_mpi(config: RunConfig, **options: Any) -> tuple[RunDirectory, dict[str, Any]] | None:
    """As `run_rank`; returns at rank 0 the run's directory and the contents of summary.json, elsewhere None."""
    outcome = run_rank(config, **options)
    return None if outcome is None else (outcome.directory, outcome.summary)


def run_here(
    config: RunConfig,
    *,
    objects: Objects | None = None,
    num_ranks: int = 2,
    resume: bool = False,
    overwrite: bool = False,
    progress: loop.Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Runs a job in this process; its weights equal those of an MPI job of any number of ranks, bit for bit.

    Args:
        config: the run file.
        objects: what a Python program has given in place of names.
        num_ranks: simulated processes, of which rank 0 is the server; with 2, each file is computed once.
        resume: go on from the newest checkpoint.
        overwrite: replace an existing run of this name.
        progress: is told of every step.
        stop: asked once a step whether to end early.

    Raises:
        RequestError: the configuration is impossible.
        RunStopped: `stop` said so; the last finished step is in a checkpoint.
        StalledError: cluster.max_skipped steps in a row were skipped.
        DivergedError: the model has left the range of numbers.
    """
    builder = Builder(config, num_ranks=num_ranks, objects=objects or Objects())
    builder.set_threads()
    keep_freed_memory()
    server = builder.server()
    simulation = Simulation(server, {rank: builder.worker(rank) for rank in range(1, num_ranks)})
    with open_run(builder.resolved, resume=resume, overwrite=overwrite) as directory:
        if _remembers(builder):
            builder.memories.stored = MemoryFolder(directory.memories, config)
        if resume:
            loop.resume(server, directory, config)
        metrics = loop.train(builder, server, simulation.run_round, directory, progress or loop.Silent(), stop)
        summary = summarize(builder, server, metrics, worker_peak_rss_bytes=peak_rss_bytes())
        directory.write_summary(summary)
        return Outcome(directory=directory, summary=summary, history=metrics.lines, model=server.state.model.module)


def run_rank(
    config: RunConfig,
    *,
    objects: Objects | None = None,
    leave_at_once: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: loop.Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome | None:
    """Runs this rank's part of an MPI job: the server at rank 0, workers elsewhere.

    Args:
        config: the run file; every rank has read the same.
        objects: what a Python program has given in place of names, in every rank the same.
        leave_at_once: leave MPI before this function returns, so that nobody waits for what this process does afterwards; by
            default with the end of the process.
        resume: go on from the newest checkpoint.
        overwrite: replace an existing run of this name.
        progress: is told of every step, at rank 0.
        stop: asked once a step, at rank 0, whether to end early.

    Returns:
        at rank 0 what the job leaves; None elsewhere.

    Raises:
        RequestError: the configuration is impossible.
        RunStopped: at rank 0, `stop` said so; the last finished step is in a checkpoint.
        HandshakeError: most workers differ from the server.
        LostWorkersError: at rank 0, too many workers died to go on; the last finished step is in a checkpoint.
        StalledError: at rank 0, cluster.max_skipped steps in a row were skipped.
        DivergedError: at rank 0, the model has left the range of numbers.
    """
    from byzshield.transport import mpi

    builder = Builder(config, num_ranks=mpi.world_size(), objects=objects or Objects(), local_rank=mpi.local_rank())
    builder.set_threads()
    builder.assignment  # noqa: B018 - refuses what is impossible before anybody waits for anybody
    if mpi.world_rank() == SERVER_RANK:
        require_open_files(mpi.world_size())
    endpoint, channel = mpi.MPIEndpoint(), mpi.MPIEndpoint()
    if endpoint.rank != SERVER_RANK:
        endpoint.hear([SERVER_RANK])
        endpoint.watch()
        _run_worker(builder, endpoint, channel, leave_at_once=leave_at_once)
        return None
    endpoint.hear(range(endpoint.size))
    endpoint.watch(channel)
    server = builder.server()
    own = handshake.facts(config, builder.computer)
    if not config.audit.enabled:
        builder.forget_computer()  # the server computes no gradient but that of the handshake
    directory = open_run(builder.resolved, resume=resume, overwrite=overwrite)  # locked until this process ends
    if resume:
        loop.resume(server, directory, config)
    witness = builder.selection.byzantine_at(1) if config.attack.selection == "worst" else ()
    welcome: dict[str, Any] = {"witness": witness, "num_corrupted": builder.num_corrupted if builder.attack_needs_rule else None}
    if _remembers(builder):
        welcome["memories"] = str(directory.memories.absolute())
    patience = pump.Patience(config.cluster.round_timeout)
    tries = config.cluster.compression == "auto" and config.cluster.exchange != "coded"  # of which nothing is compressed
    trial = CompressionTrial() if tries else None
    early: ByzShieldError | None = None
    try:
        handshake.greet_workers(endpoint, server.ranks, own, welcome=welcome, timeout=config.cluster.startup_timeout)
        metrics = loop.train(
            builder,
            server,
            partial(pump.run_round, server, endpoint, patience, trial),
            directory,
            progress or loop.Silent(),
            stop,
        )
    except (RunStopped, StalledError, DivergedError) as error:
        early = error  # the job itself is sound, and ends in order
    except BaseException as error:
        if mpi.outlives_its_ranks():  # then MPI_Abort, which mpi4py would call, ends nobody else
            missing = pump.stop_workers(server, endpoint, timeout=GOODBYE_SECONDS if isinstance(error, Exception) else 0.0)
            mpi.end(status=_status(error), together=False, deadline=GOODBYE_SECONDS, hanging=[*missing, *endpoint.lost()])
        raise
    missing = pump.stop_workers(server, endpoint, timeout=GOODBYE_SECONDS)
    outcome: Outcome | None = None
    if early is None:
        summary = summarize(builder, server, metrics, worker_peak_rss_bytes=max(server.goodbyes.values(), default=None))
        directory.write_summary(summary)
        outcome = Outcome(directory=directory, summary=summary, history=metrics.lines, model=server.state.model.module)
    absent = sorted({*missing, *endpoint.lost()})
    together = not absent and endpoint.settled
    if not together:
        LOG.warning("what there is is stored; the job is ended by force, since ranks %s are dead, cut off or hang", absent)
    status = 0 if early is None else _status(early)
    mpi.end(status=status, together=together, deadline=GOODBYE_SECONDS, hanging=absent, at_once=leave_at_once)
    if early is not None:
        raise early
    return outcome


def _status(error: BaseException) -> int:
    """The exit status to which the program turns an error."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return STOPPED if isinstance(error, RunStopped) else 1


def _remembers(builder: Builder) -> bool:
    """Whether there is an adversary that remembers earlier steps."""
    return bool(builder.config.attack.num_byzantine) and builder.attack.remembers


def _run_worker(builder: Builder, endpoint: Any, channel: Any, *, leave_at_once: bool) -> None:
    from byzshield.transport import mpi

    keep_freed_memory()  # the server uses its buffers again, and would grow by what it evaluates with
    cluster = builder.config.cluster
    first = builder.rank_of.index(endpoint.rank)
    welcome = handshake.greet_server(
        endpoint, first, partial(handshake.facts, builder.config, builder.computer), timeout=cluster.startup_timeout
    )
    witness, num_corrupted = welcome.get("witness", []), welcome.get("num_corrupted")
    if not isinstance(witness, list) or not isinstance(num_corrupted, int | None):
        raise HandshakeError("the server's welcome has no witness")
    builder = builder.with_witness(tuple(witness), num_corrupted)
    if _remembers(builder) and isinstance(folder := welcome.get("memories"), str):
        builder.memories.stored = MemoryFolder(Path(folder), builder.config)
    worker = builder.worker(endpoint.rank)
    channel.hear(builder.ranks_of_accomplices if endpoint.rank in builder.ranks_of_accomplices else ())
    pump.work_until_stopped(worker, endpoint, channel, patience=cluster.startup_timeout + 2 * cluster.round_timeout)
    endpoint.send(messages.goodbye(first, peak_rss_bytes()).to(SERVER_RANK))
    together = pump.await_dismissal(endpoint, channel, timeout=2 * GOODBYE_SECONDS)
    mpi.end(status=0, together=together, deadline=3 * GOODBYE_SECONDS, at_once=leave_at_once)
