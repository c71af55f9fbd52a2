"""The sections of a run file, as frozen dataclasses; every default is here."""

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "AggregationSection",
    "AttackSection",
    "ClusterSection",
    "DataSection",
    "MetricsSection",
    "ModelSection",
    "OptimizerSection",
    "PlacementSection",
    "RunConfig",
    "RunSection",
    "ScheduleSection",
    "VoteSection",
]

Options = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """What to run, for how long, and where the results go.

    Args:
        name: the run's directory under output_dir.
        seed: of everything random, >= 0.
        steps: training steps.
        eval_every: steps between two evaluations on the test set; 0 evaluates only at the end.
        checkpoint_every: steps between two checkpoints; 0 writes only the last.
        output_dir: the folder of all runs.
    """

    name: str = "run"
    seed: int = 1
    steps: int = 100
    eval_every: int = 0
    checkpoint_every: int = 0
    output_dir: str = "runs"


@dataclass(frozen=True, kw_only=True)
class ClusterSection:
    """Who computes and how they talk.

    Args:
        num_workers: K; may stand in for one size of the placement.
        num_threads: threads of torch in each process, equal everywhere, since results differ in the last bits with it.
        device: "cpu" or "cuda".
        exchange: "digest" (workers vote with digests, winners travel once) or "full" (all copies travel).
        quorum: least share of the files that must have a winner for a step to count, 0 to 1.
        round_timeout: seconds that the server waits for votes, and for each payload.
        startup_timeout: seconds that the server waits for the workers' greetings.
        compression: "auto" keeps what saves 1/8, "on" any saving, "off" none.
        chunk_elements: float32 values a chunk.
    """

    num_workers: int | None = None
    num_threads: int = 1
    device: str = "cpu"
    exchange: Literal["digest", "full"] = "digest"
    quorum: float = 0.0
    round_timeout: float = 60.0
    startup_timeout: float = 300.0
    compression: Literal["auto", "on", "off"] = "auto"
    chunk_elements: int = 1 << 18


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """The data set, and its own keywords in `options`.

    Args:
        name: see `byzshield list datasets`.
        root: the folder of its files; None takes the user's cache.
        batch_size: b, samples a step over all files; a multiple of the number of files.
        augment: whether to crop and flip training images at random.
    """

    name: str = "mnist5k"
    root: str | None = None
    batch_size: int = 300
    augment: bool = False
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelSection:
    """The network (`byzshield list models`), and its own keywords in `options`."""

    name: str = "lenet"
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlacementSection:
    """Who computes which file; sizes that a scheme does not have are ignored, so that schemes can be compared.

    Args:
        scheme: see `byzshield list placements`.
        load: l, files a worker.
        replication: r, workers a file.
        m: of ramanujan2.
        path: the .json or .npy file of a custom placement.
    """

    scheme: str = "mols"
    load: int | None = None
    replication: int | None = None
    m: int | None = None
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class VoteSection:
    """How the copies of a file are compared; "exact" asks for equal bytes."""

    name: Literal["exact"] = "exact"


@dataclass(frozen=True, kw_only=True)
class AggregationSection:
    """The rule that combines the winners, and its own keywords in `options`.

    Args:
        rule: see `byzshield list aggregators`.
        pre: what to do with the rows before the rule, in order (`byzshield list pre-aggregators`): a name, or a table with a
            name and keywords.
        num_corrupted: files that may be wrong after the vote; "auto" takes c_max(q) of the placement.
    """

    rule: str = "median"
    pre: tuple[str | Options, ...] = ()
    num_corrupted: int | Literal["auto"] = "auto"
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AttackSection:
    """What the Byzantine workers do, and the attack's own keywords in `options`.

    Args:
        name: see `byzshield list attacks`; not used while num_byzantine is 0.
        num_byzantine: q.
        selection: "worst", "random" (anew each step), "first", or "fixed" (those in `workers`).
        workers: the Byzantine workers of selection "fixed".
        knowledge: "own" (the gradients that the accomplices were given) or "omniscient" (those of all files).
    """

    name: str = "alie"
    num_byzantine: int = 0
    selection: Literal["worst", "random", "first", "fixed"] = "worst"
    workers: tuple[int, ...] = ()
    knowledge: Literal["own", "omniscient"] = "omniscient"
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OptimizerSection:
    """A class of torch.optim, its learning rate, and its own keywords in `options`."""

    name: str = "SGD"
    lr: float = 0.05
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScheduleSection:
    """A class of torch.optim.lr_scheduler with its own keywords in `options`; None keeps the learning rate."""

    name: str | None = None
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MetricsSection:
    """What is recorded.

    Args:
        log_every: steps between two lines of the log; 0 logs none.
    """

    log_every: int = 0


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run file."""

    run: RunSection = field(default_factory=RunSection)
    cluster: ClusterSection = field(default_factory=ClusterSection)
    data: DataSection = field(default_factory=DataSection)
    model: ModelSection = field(default_factory=ModelSection)
    placement: PlacementSection = field(default_factory=PlacementSection)
    vote: VoteSection = field(default_factory=VoteSection)
    aggregation: AggregationSection = field(default_factory=AggregationSection)
    attack: AttackSection = field(default_factory=AttackSection)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    schedule: ScheduleSection = field(default_factory=ScheduleSection)
    metrics: MetricsSection = field(default_factory=MetricsSection)
