"""What a step takes of a host's memory, which is known before the first."""

import os
from typing import TYPE_CHECKING

from byzshield.errors import RequestError
from byzshield.limits import GIB, available_memory
from byzshield.planning.memory import adversary_bytes, server_bytes, worker_bytes
from byzshield.runtime.optimizers import state_vectors
from byzshield.training.turns import Turns, turns
from byzshield.wire import SERVER_RANK

if TYPE_CHECKING:
    from byzshield.runtime.builder import Builder

__all__ = ["attack_bytes", "bytes_needed", "require_memory"]


def bytes_needed(builder: "Builder", rank: int) -> int:
    """Bytes that a rank takes in a step on top of a loaded model and data set, if nobody fails: those of `planning.memory`."""
    return _server(builder) if rank == SERVER_RANK else _worker(builder, rank, _turns(builder))


def _server(builder: "Builder") -> int:
    """The server's: the winners of all files [f, d], or a window of their columns, or all combinations [K, 2 d] in float64."""
    config, computer = builder.config, builder.computer
    num_files, momenta = builder.assignment.num_files, bool(config.aggregation.momentum)
    row = None if builder.code is None else 2 * 8 * computer.size
    if (window := builder.window) is not None:
        row = 4 * (window * config.cluster.chunk_elements + computer.size - computer.num_parameters)
    # Momenta are in the matrix until the step has been taken, so that nothing is written over them.
    new_rows = _new_rows(builder, in_place=not momenta)
    return server_bytes(
        num_files=num_files,
        size=computer.size,
        row_bytes=row,
        new_rows=new_rows,
        momenta=momenta,
        state_vectors=state_vectors(config.optimizer),
        activation_bytes=builder.activation_bytes if config.audit.enabled else 0,
    )


def require_memory(builder: "Builder", rank: int) -> None:
    """Refuses a run before its first step if the processes of this host would not find room for a step.

    An array that is only reserved takes memory when it is written to, so that a job which lacks it is killed in mid-step.

    Args:
        builder: of the run.
        rank: this process's; in a simulation, which plays all ranks with one model, and where all ranks are on one host, 0 stands
            for all.

    Raises:
        RequestError: there is less.
    """
    here = os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE")
    if (free := available_memory()) is None or (here is None and rank != SERVER_RANK):
        return
    others = (builder.num_ranks if here is None else int(here)) - 1
    if rank != SERVER_RANK and others == builder.num_ranks - 1:
        return  # the server has looked for all, before any of them took more
    plan, size = _turns(builder), builder.computer.size
    own = bytes_needed(builder, rank)
    if here is None:
        rest = worker_bytes(num_files=sum(plan.work.values()), size=size, activation_bytes=builder.activation_bytes)
    else:
        # Which of them are here is not known unless all are, so those are counted that take the most.
        takes = sorted((_worker(builder, other, plan) for other in plan.work if other != rank), reverse=True)[:others]
        rest = sum(takes)
    gathered = attack_bytes(builder) if others == builder.num_ranks - 1 else 0
    if (needed := own + rest + gathered) > free:
        who = "the server" if rank == SERVER_RANK else f"rank {rank}"
        attackers = f", {gathered / GIB:.2f} GiB for the attack" if gathered else ""
        raise RequestError(
            f"memory: a step takes {needed / GIB:.2f} GiB on this host ({own / GIB:.2f} GiB for {who}, {rest / GIB:.2f} GiB for "
            f"the other {others} of its ranks{attackers}), and {free / GIB:.2f} GiB are free: take fewer ranks a host, a smaller "
            "model, a placement with fewer files, or a larger host"
        )


def attack_bytes(builder: "Builder") -> int:
    """What the leader of accomplices who know all files takes on top; 0 without one."""
    section, num_files = builder.config.attack, builder.assignment.num_files
    if not section.num_byzantine or section.knowledge != "omniscient" or not builder.attack.collusive:
        return 0
    tried = builder.num_corrupted + _new_rows(builder, in_place=False) if builder.attack_needs_rule else None
    compiled = builder.attack.compiled or tried is not None
    return adversary_bytes(num_files=num_files, size=builder.computer.size, tried_rows=tried, compiled=compiled)


def _new_rows(builder: "Builder", *, in_place: bool) -> int:
    """Rows that pre-aggregators make beside those that they are given; `in_place` if these may be written over."""
    made = builder.pre_aggregators(0) if builder.code is None else ()
    num_files = builder.assignment.num_files
    return sum(0 if operation.works_in_place and in_place else operation.rows_after(num_files) for operation in made)


def _worker(builder: "Builder", rank: int, plan: Turns) -> int:
    """Those of a rank that hosts workers, in the first step."""
    size, payloads = builder.computer.size, plan.work[rank]
    if builder.config.cluster.exchange != "digest":
        here = [worker for worker, host in enumerate(builder.rank_of) if host == rank]
        payloads = sum(plan.votes[worker] for worker in here) if builder.code is None else len(here)
    return worker_bytes(
        num_files=plan.work[rank],
        size=size,
        payloads=payloads,
        payload_bytes=None if builder.code is None else 2 * 8 * size,
        activation_bytes=builder.activation_bytes,
    )


def _turns(builder: "Builder") -> Turns:
    """Who computes and votes in the first step if nobody fails."""
    return turns(builder.assignment.at(1), builder.rank_of, on_request=builder.on_request)
