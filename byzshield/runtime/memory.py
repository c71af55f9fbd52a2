"""What a step takes of a host's memory, which is known before the first."""

import os
from typing import TYPE_CHECKING

from byzshield.errors import RequestError
from byzshield.limits import GIB, available_memory
from byzshield.planning.memory import ON_REQUEST, adversary_bytes, server_bytes, worker_bytes
from byzshield.runtime.optimizers import state_vectors
from byzshield.training.turns import Turns, turns
from byzshield.wire import SERVER_RANK

if TYPE_CHECKING:
    from byzshield.runtime.builder import Builder

__all__ = ["bytes_needed", "require_memory"]


def bytes_needed(builder: "Builder", rank: int) -> int:
    """Bytes that a rank takes in a step on top of a loaded model and data set, if nobody fails: those of `planning.memory`.

    The server holds the winners of all files [f, d], or a window of their columns, or all combinations [K, 2 d] in float64.
    """
    config, computer = builder.config, builder.computer
    combination = None if builder.code is None else 2 * 8 * computer.size
    if rank != SERVER_RANK:
        plan = _turns(builder)
        here = [plan.votes[worker] for worker, host in enumerate(builder.rank_of) if host == rank]
        payloads = {"digest": min(ON_REQUEST, plan.work[rank]), "full": sum(here), "coded": len(here)}[config.cluster.exchange]
        return worker_bytes(
            num_files=plan.work[rank],
            size=computer.size,
            payloads=payloads,
            payload_bytes=combination,
            activation_bytes=builder.activation_bytes,
        )
    num_files, momenta = builder.assignment.num_files, bool(config.aggregation.momentum)
    row = combination
    if (window := builder.window) is not None:
        row = 4 * (window * config.cluster.chunk_elements + computer.size - computer.num_parameters)
    new_rows = 0
    for operation in builder.pre_aggregators(0) if builder.code is None else ():
        # Momenta are in the matrix until the step has been taken, so that nothing is written over them.
        new_rows += 0 if operation.works_in_place and not momenta else operation.rows_after(num_files)
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

    An array that is only reserved takes memory when it is written to, so that a job which lacks it is killed in mid-step. Under
    mpirun each other rank of this host is taken to need what the worker's rank with the most files does.

    Args:
        builder: of the run.
        rank: this process's; in a simulation, which plays all ranks with one model, 0 stands for all.

    Raises:
        RequestError: there is less.
    """
    here = os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE")
    if (free := available_memory()) is None or (here is None and rank != SERVER_RANK):
        return
    work, size, num_files = _turns(builder).work, builder.computer.size, builder.assignment.num_files
    others = (builder.num_ranks if here is None else int(here)) - 1
    own, attack = bytes_needed(builder, rank), builder.config.attack
    if here is None:
        rest = worker_bytes(num_files=sum(work.values()), size=size, activation_bytes=builder.activation_bytes)
        whose = f"{rest / GIB:.2f} GiB for its {others + 1} ranks"
    else:
        most = bytes_needed(builder, max(work, key=lambda host: work[host]))
        rest, whose = others * most, f"{most / GIB:.2f} GiB for each other of its {others + 1} ranks"
    # The leader of accomplices who know all files holds a gradient of each.
    gathered = 0
    if attack.num_byzantine and attack.knowledge == "omniscient" and others == builder.num_ranks - 1 and builder.attack.collusive:
        gathered = adversary_bytes(num_files=num_files, size=size)
    if (needed := own + rest + gathered) > free:
        who = "the server" if rank == SERVER_RANK else f"rank {rank}"
        attackers = f", {gathered / GIB:.2f} GiB for the attack" if gathered else ""
        raise RequestError(
            f"memory: a step takes {needed / GIB:.2f} GiB on this host ({own / GIB:.2f} GiB for {who}, {whose}{attackers}), "
            f"and {free / GIB:.2f} GiB are free: take fewer ranks a host, a smaller model, a placement with fewer files, or a "
            "larger host"
        )


def _turns(builder: "Builder") -> Turns:
    """Who computes and votes in the first step if nobody fails."""
    return turns(builder.assignment.at(1), builder.rank_of, on_request=builder.on_request)
