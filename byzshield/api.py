"""Training from a Python program: `simulate` in one process, `train` in the processes of mpirun."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Unpack

import torch
from torch import nn

from byzshield.errors import ParameterError, RequestError
from byzshield.extras import require
from byzshield.runtime.jobs import Outcome, run_here, run_rank
from byzshield.runtime.progress import ProgressLine
from byzshield.runtime.request import Parts, Run, read_request
from byzshield.wire import SERVER_RANK

__all__ = ["TrainingResult", "simulate", "train"]

GRACE_SECONDS: Final = 15.0


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What training has come to.

    Args:
        model: the trained network, in evaluation mode.
        history: one dictionary a step, the lines of metrics.jsonl.
        summary: the contents of summary.json: test_accuracy, test_loss, blamed, ...
        directory: where the run's files are: config.toml, metrics.jsonl, checkpoints, summary.json.
    """

    model: nn.Module
    history: list[dict[str, Any]]
    summary: dict[str, Any]
    directory: Path

    def __repr__(self) -> str:
        return f"TrainingResult(steps={self.summary['steps']}, directory={str(self.directory)!r})"


def simulate(
    run: Run = None,
    /,
    *,
    num_ranks: int = 2,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **parts: Unpack[Parts],
) -> TrainingResult:
    """Trains in this process: the server and all workers, attack and defense, bit for bit as `train` does over MPI.

    Args:
        run: a run file: its path, its sections as tables, or a `RunConfig`; None for the defaults.
        num_ranks: simulated processes, of which one is the server.
        resume: go on from the newest checkpoint of this run.
        overwrite: replace an earlier run of this name; by default a new one gets a suffix.
        progress: show how far it is, on stderr.
        parts: what `train` says.

    Raises:
        RequestError: what is asked for is impossible; the message says what to change.
        ByzShieldError: training failed; what was done is stored.
    """
    config, objects = read_request(run, parts)
    with _torch_settings_kept():
        return _result(
            run_here(
                config,
                objects=objects,
                num_ranks=num_ranks,
                resume=resume,
                overwrite=overwrite,
                progress=ProgressLine() if progress else None,
            )
        )


def train(
    run: Run = None, /, *, resume: bool = False, overwrite: bool = False, progress: bool = True, **parts: Unpack[Parts]
) -> TrainingResult | None:
    """Trains over MPI, in a program started by `mpirun -n N python -m mpi4py PROGRAM.py`: the server is rank 0.

    Without mpirun it is `simulate`, so that the same program runs in one process. A program can train once over MPI: with this
    function its processes leave MPI, and what rank 0 does afterwards keeps nobody waiting.

    Args:
        run: a run file: its path, its sections as tables, or a `RunConfig`; None for the defaults.
        resume: go on from the newest checkpoint of this run.
        overwrite: replace an earlier run of this name; by default a new one gets a suffix.
        progress: show how far it is, on stderr.
        parts: what stands in place of the run file's, in every process the same:
            `model`: an nn.Module, which is copied and not changed; or a function or class that makes one, or a model's name.
            `train`, `test`: map-style data sets of torch, or pairs of arrays (inputs, targets); or, as `train` alone, a data set
            of byzshield.data. `collate` makes a batch of a list of samples.
            `loss`: loss(output, target) -> scalar, the mean over the batch, or a loss's name. Or `loss_of`:
            loss_of(model, batch) -> scalar, for what is no function of one output.
            `metrics`: names or functions, metric(output, target), or with loss_of, metric(model, batch).
            `placement`, `rule`, `pre`, `attack`: objects such as bz.mols(5, 3), bz.TrimmedMean(2), [bz.NNM()] and bz.ALIE(z=1.5),
            or names.
            `num_byzantine`, `steps`, `epochs`, `batch_size`, `seed`, `name`, `output_dir`: as attack.num_byzantine, run.steps,
            data.batch_size, run.seed, run.name and run.output_dir.
            `schedule`: a function of the number of updates that gives the factor of the rate, a class, or a function of
            `optimizer` that makes a schedule; or a table, of which "name" may be one of these.
            `optimizer` and all other sections of a run file: a table of keys, or a name.

    Returns:
        at rank 0 the trained network and what happened on the way; elsewhere None.

    Raises:
        RequestError: what is asked for is impossible; the message says what to change.
        ByzShieldError: training failed; what was done is stored.
    """
    require("mpi4py")
    from byzshield.transport import mpi

    if mpi.has_ended():
        raise ParameterError("a program can train once over MPI; train the next model in a program, or an mpirun, of its own")
    if mpi.world_size() == 1:
        return simulate(run, resume=resume, overwrite=overwrite, progress=progress, **parts)
    with _torch_settings_kept(), _told_once(mpi.world_rank()):
        config, objects = read_request(run, parts)
        outcome = run_rank(
            config,
            objects=objects,
            leave_at_once=True,
            resume=resume,
            overwrite=overwrite,
            progress=ProgressLine() if progress else None,
        )
    return None if outcome is None else _result(outcome)


def _result(outcome: Outcome) -> TrainingResult:
    return TrainingResult(
        model=outcome.model.eval(), history=outcome.history, summary=outcome.summary, directory=outcome.directory.path
    )


@contextmanager
def _told_once(rank: int) -> Iterator[None]:
    """A mistake that all ranks find is told by rank 0, whose end is the job's; who is still there afterwards, tells its own."""
    try:
        yield
    except RequestError:
        if rank != SERVER_RANK:
            time.sleep(GRACE_SECONDS)
        raise


@contextmanager
def _torch_settings_kept() -> Iterator[None]:
    """What a run fixes for the bits of its gradients is as before once it is over."""
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(deterministic)
        torch.backends.cudnn.benchmark = benchmark
