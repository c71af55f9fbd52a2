"""What a placement costs: computation, traffic and work of the parameter server, and time of a step.

docs/performance.md explains the model, and shows it against measurements.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final

from byzshield.config.schema import ClusterSection
from byzshield.errors import ParameterError
from byzshield.placement import Assignment
from byzshield.planning.memory import server_bytes, worker_bytes
from byzshield.wire import DIGEST_BYTES, ChunkLayout

__all__ = ["Cluster", "Cost", "cost_of"]

BYTES_PER_PARAMETER: Final = 4
# Seconds of one core, as measured: what the server needs to receive a byte, check and keep it, and to take in a message; and what
# a worker needs, for each byte of the gradients that it computes, to keep, digest and deliver them.
SECONDS_A_BYTE: Final = 0.5e-9
SECONDS_A_MESSAGE: Final = 14e-6
WORKER_SECONDS_A_BYTE: Final = 0.9e-9


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The model, the machines and the network that a plan is made for.

    Args:
        num_parameters: d, float32 parameters of the model; by default those of ResNet-18 for ten classes.
        bandwidth: bits per second of the parameter server's link, each way.
        gradient_seconds: time that one worker would need for the gradient of the whole batch.
        latency: seconds of a round trip between the parameter server and a worker.

    Raises:
        ParameterError: the latency is negative or not finite.
    """

    num_parameters: int = 11_173_962
    bandwidth: float = 10e9
    gradient_seconds: float = 10.0
    latency: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.latency) and self.latency >= 0):
            raise ParameterError(f"a plan needs a finite latency of at least 0 seconds; got {self.latency}")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one training step takes.

    Args:
        compute: gradients computed in all, in multiples of one batch; equals r. In digest mode it is the most: r' while nobody
            fails, unless each worker holds one file.
        server_bytes_sent: parameters to K workers.
        server_bytes_received_digest: a digest of every chunk of every copy, and one copy of each file's gradient; chunks are
            those of a run file that does not set cluster.chunk_elements.
        server_bytes_received_full: all r copies of every file's gradient.
        server_memory_bytes: what the server takes in a step, above a process that has loaded the run.
        worker_memory_bytes: what a rank with one worker takes, but for what lies between the layers of the model.
        step_seconds_digest: predicted time of a step in digest mode.
        step_seconds_full: predicted time of a step in full mode.
    """

    compute: int
    server_bytes_sent: int
    server_bytes_received_digest: int
    server_bytes_received_full: int
    server_memory_bytes: int
    worker_memory_bytes: int
    step_seconds_digest: float
    step_seconds_full: float


def cost_of(assignment: Assignment, cluster: Cluster) -> Cost:
    """Predicts the cost of a step.

    The model is a sum of three phases: parameters out over the server's link; every worker's l of the f files, and its work on
    them (r' / r of that in digest mode, while nobody fails), or the server's work on the votes if that takes longer; gradients
    in over the same link, or the server's work on them if that takes longer. Digests need two round trips, full gradients one.
    It leaves out aggregation, compression and the requests for gradients (bytes each). Phases do not overlap in it, so that a
    real step on hosts of its own takes less time; where workers share cores, their time adds up.
    """
    gradient = cluster.num_parameters * BYTES_PER_PARAMETER
    layout = ChunkLayout(cluster.num_parameters, ClusterSection().chunk_elements)
    copies = assignment.num_workers * assignment.load
    sent = assignment.num_workers * gradient
    digest = copies * layout.num_chunks * DIGEST_BYTES + assignment.num_files * gradient
    full = copies * gradient
    compute_seconds = cluster.gradient_seconds * assignment.load / assignment.num_files
    compute_seconds += assignment.load * gradient * WORKER_SECONDS_A_BYTE
    at_once = 1.0 if assignment.load == 1 else assignment.majority / assignment.replication
    votes = at_once * copies * SECONDS_A_MESSAGE
    out = 8 * sent / cluster.bandwidth

    def taking_in(gradients: int) -> float:
        """Seconds for so many gradients on the link, or for the server's work on them."""
        work = gradients * (gradient * SECONDS_A_BYTE + layout.num_chunks * SECONDS_A_MESSAGE)
        return max(8 * gradients * gradient / cluster.bandwidth, work)

    return Cost(
        compute=assignment.replication,
        server_bytes_sent=sent,
        server_bytes_received_digest=digest,
        server_bytes_received_full=full,
        server_memory_bytes=server_bytes(num_files=assignment.num_files, size=cluster.num_parameters),
        worker_memory_bytes=worker_bytes(num_files=assignment.load, size=cluster.num_parameters),
        step_seconds_digest=2 * cluster.latency + out + max(at_once * compute_seconds, votes) + taking_in(assignment.num_files),
        step_seconds_full=cluster.latency + out + compute_seconds + taking_in(copies),
    )
