"""What a step takes of a host's memory, which is known before the first."""

import os
from typing import TYPE_CHECKING

from byzshield.errors import RequestError
from byzshield.limits import GIB, available_memory
from byzshield.training.turns import turns
from byzshield.wire import SERVER_RANK

if TYPE_CHECKING:
    from byzshield.runtime.builder import Builder

__all__ = ["bytes_needed", "require_memory"]


def bytes_needed(builder: "Builder", rank: int) -> int:
    """Bytes that a rank takes in a step on top of a loaded model and data set, if nobody fails.

    The server holds the winners of all files [f, d], or a window of their columns, or all combinations [K, 2 d] in float64, the
    momenta of all shards [f, p] if the run has them, and four vectors of parameters (its own, the optimizer's, the aggregate,
    what it sends); a worker's rank holds the gradients of the files that it computes.
    """
    computer = builder.computer
    if rank == SERVER_RANK:
        row = 4 * computer.size if builder.code is None else 2 * 8 * computer.size
        if (window := builder.window) is not None:
            row = 4 * (window * builder.config.cluster.chunk_elements + computer.size - computer.num_parameters)
        momentum = 4 * computer.num_parameters if builder.config.aggregation.momentum else 0
        return builder.assignment.num_files * (row + momentum) + 4 * 4 * computer.num_parameters
    return 4 * computer.size * _work(builder)[rank]


def require_memory(builder: "Builder", rank: int) -> None:
    """Refuses a run before its first step if the processes of this host would not find room for a step.

    An array that is only reserved takes memory when it is written to, so that a job which lacks it is killed in mid-step. Each
    other rank of this host is taken to need what the worker's rank with the most files does.

    Args:
        builder: of the run.
        rank: this process's; in a simulation, which plays all ranks, the server's alone is looked at.

    Raises:
        RequestError: there is less.
    """
    here = os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE")
    if (free := available_memory()) is None or (here is None and rank != SERVER_RANK):
        return
    others = (builder.num_ranks if here is None else int(here)) - 1
    own, most = bytes_needed(builder, rank), 4 * builder.computer.size * max(_work(builder).values())
    attack = builder.config.attack
    # The leader of accomplices who know all files holds a gradient of each.
    gathered = 0
    if attack.num_byzantine and attack.knowledge == "omniscient" and others == builder.num_ranks - 1 and builder.attack.collusive:
        gathered = 4 * builder.computer.size * builder.assignment.num_files
    if (needed := own + others * most + gathered) > free:
        who = "the server" if rank == SERVER_RANK else f"rank {rank}"
        attackers = f", {gathered / GIB:.2f} GiB for the attack" if gathered else ""
        raise RequestError(
            f"memory: a step takes {needed / GIB:.2f} GiB on this host ({own / GIB:.2f} GiB for {who}, {most / GIB:.2f} GiB for "
            f"each other of its {others + 1} ranks{attackers}), and {free / GIB:.2f} GiB are free: take fewer ranks a host, "
            "a smaller model, a placement with fewer files, or a larger host"
        )


def _work(builder: "Builder") -> dict[int, int]:
    """For each worker's rank the files that it computes if nobody fails."""
    return turns(builder.assignment.at(1), builder.rank_of, on_request=builder.on_request).work
