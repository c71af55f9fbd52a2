"""What a placement costs: computation, traffic of the parameter server, and time of a step."""

from dataclasses import dataclass

from byzshield.config.schema import ClusterSection
from byzshield.placement import Assignment
from byzshield.wire import DIGEST_BYTES, ChunkLayout

__all__ = ["Cluster", "Cost", "cost_of"]

BYTES_PER_PARAMETER = 4


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The model, the machines and the network that a plan is made for.

    Args:
        num_parameters: d, float32 parameters of the model; by default those of ResNet-18 for ten classes.
        bandwidth: bits per second of the parameter server's link, each way.
        gradient_seconds: time that one worker would need for the gradient of the whole batch.
    """

    num_parameters: int = 11_173_962
    bandwidth: float = 10e9
    gradient_seconds: float = 10.0


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
        server_memory_bytes: one gradient of every file, which the server holds at once, and four vectors of parameters.
        worker_memory_bytes: a gradient of each of a worker's files.
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

    The model is a sum of three phases: parameters out over the server's link, every worker's l of the f files (r' / r of them in
    digest mode, while nobody fails), gradients in over the same link. It leaves out aggregation, compression, latency and the
    requests for gradients (bytes each), and it lets nothing overlap: it is meant for comparing placements, and a real step takes
    another time.
    """
    gradient = cluster.num_parameters * BYTES_PER_PARAMETER
    layout = ChunkLayout(cluster.num_parameters, ClusterSection().chunk_elements)
    copies = assignment.num_workers * assignment.load
    sent = assignment.num_workers * gradient
    digest = copies * layout.num_chunks * DIGEST_BYTES + assignment.num_files * gradient
    full = copies * gradient
    compute_seconds = cluster.gradient_seconds * assignment.load / assignment.num_files
    at_once = 1.0 if assignment.load == 1 else assignment.majority / assignment.replication
    return Cost(
        compute=assignment.replication,
        server_bytes_sent=sent,
        server_bytes_received_digest=digest,
        server_bytes_received_full=full,
        server_memory_bytes=(assignment.num_files + 4) * gradient,
        worker_memory_bytes=assignment.load * gradient,
        step_seconds_digest=at_once * compute_seconds + 8 * (sent + digest) / cluster.bandwidth,
        step_seconds_full=compute_seconds + 8 * (sent + full) / cluster.bandwidth,
    )
