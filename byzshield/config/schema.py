"""The sections of a run file, as frozen dataclasses: all defaults, ranges and choices; docs/run_file.md is made of them."""

from dataclasses import dataclass, field, fields
from typing import Final, Literal, get_type_hints

from byzshield.choices import (
    AuditBy,
    Compression,
    Exchange,
    Expel,
    ForgedFiles,
    Knowledge,
    MomentumForm,
    Precision,
    SelectionRule,
    Split,
    VoteRule,
)
from byzshield.config.section import CONSTRAINT, Constraint, Form, Options, Section, key
from byzshield.config.values import LARGEST_INTEGER, check
from byzshield.errors import ConfigError

__all__ = [
    "AggregationSection",
    "AttackSection",
    "AuditSection",
    "ClusterSection",
    "DataSection",
    "EvaluationSection",
    "LossSection",
    "MetricsSection",
    "ModelSection",
    "OptimizerSection",
    "PlacementSection",
    "RunConfig",
    "RunSection",
    "ScheduleSection",
    "VoteSection",
]

DEFAULT_STEPS: Final = 100
LAST_STEP: Final = 2**31 - 1  # a step has 32 bits in every frame
MOST_WORKERS: Final = 2**16 - 1
MOST_DIMENSIONS: Final = 64  # of a tensor
LONGEST_WAIT: Final = 1_000_000  # seconds, eleven days
FOLDER: Final = Form(
    pattern=r"(?!\.\.?$)[^/\x00-\x1f\x7f]{1,200}",
    words="a folder's name of 1 to 200 characters, no slash or control character among them",
)
DEVICE: Final = Form(pattern=r"auto|cpu|cuda(:(0|[1-9]\d?))?", words="'cpu', 'cuda', 'cuda:N' or 'auto'")


@dataclass(frozen=True, kw_only=True)
class RunSection(Section):
    """What to run, for how long, and where the results go.

    Args:
        name: the run's folder under output_dir.
        seed: of everything random.
        steps: training steps; without epochs 100 by default.
        epochs: passes over the training samples, each of floor(n / b) steps; with steps, too, whichever ends first ends the run.
            The run's config.toml has the steps.
        eval_every: steps between two evaluations on the test set; 0 evaluates only at the end.
        checkpoint_every: steps between two checkpoints; 0 writes only the last.
        keep_checkpoints: how many of the newest stay; 0 keeps all, for `byzshield evaluate`. With 1, there is none to go back
            to if it is damaged.
        output_dir: the folder of all runs.
        module_dir: the folder of your own modules, those of "module:Class", before the current folder; relative to the run file,
            and by default the run file's own. In the config.toml of a run it stands in full.
        start_from: a file of weights to start from instead of random ones: a checkpoint, or a bare state_dict of the same
            network, also under the names of the published DETOX and ByzShield code. Only the server reads it. Momentum and what a
            rule remembers start from nothing.
        start_step: steps that count as taken with these weights: samples, draws and the learning rate go on behind them.

    Example:
        [run]
        name = "my-run"            # results go to runs/my-run
        seed = 1
        steps = 300
        eval_every = 50
        checkpoint_every = 50
    """

    name: str = key("run", form=FOLDER, hashed=False)
    seed: int = key(1, least=0, most=LARGEST_INTEGER)
    steps: int | None = key(None, least=1, most=LAST_STEP, hashed=False)
    epochs: int | None = key(None, least=1, most=LAST_STEP, hashed=False)
    eval_every: int = key(0, least=0, most=LAST_STEP, hashed=False)
    checkpoint_every: int = key(0, least=0, most=LAST_STEP, hashed=False)
    keep_checkpoints: int = key(0, least=0, most=LAST_STEP, hashed=False)
    output_dir: str = key("runs", hashed=False)
    module_dir: str | None = key(None, hashed=False)
    start_from: str | None = key(None, hashed=False)
    start_step: int = key(0, least=0, most=LAST_STEP, hashed=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is None and self.epochs is None:
            object.__setattr__(self, "steps", DEFAULT_STEPS)


@dataclass(frozen=True, kw_only=True)
class ClusterSection(Section):
    """Who computes and how they talk.

    Args:
        num_workers: K; may stand in for one size of the placement.
        num_threads: threads of torch in each process, equal everywhere, since results differ in the last bits with it.
        device: where models compute, with deterministic kernels. "auto" gives the ranks of each host its GPUs in turn, and the
            CPU where there is none. All hosts, the server's too, need the same kind of device, or they disagree in the last bits
            and lose their votes; the comparison of probe gradients before training names who differs.
        precision: "float32", or "bfloat16": the forward pass under torch.autocast, which is faster where the hardware has it.
            Parameters, gradients and votes stay float32.
        exchange: "digest" (workers vote with digests, winners travel once), "full" (all copies travel) or "coded" (for the cyclic
            placement and the mean: each worker sends one combination of its files, from which the server decodes the mean).
        quorum: least share of the files that must have a winner for a step to count; not used in the coded exchange, which
            recovers all files or none.
        max_skipped: skipped steps in a row that end the run; 0 lets it go on for ever.
        round_timeout: most seconds that the server waits for votes, and for each payload; less once it has seen what is usual.
        startup_timeout: seconds that the server waits for the workers' greetings.
        compression: "on" compresses what shrinks, "off" nothing; "auto" tries in the first steps of an MPI job and now and then
            which of them makes a step faster, and is "off" in a simulation.
        chunk_elements: float32 values a chunk.

    Example:
        [cluster]
        num_workers = 15
        exchange = "digest"        # or "full": every copy travels, for comparison
        quorum = 0.5
        round_timeout = 60.0
    """

    num_workers: int | None = key(None, least=1, most=MOST_WORKERS)
    num_threads: int = key(1, least=1, most=1024)
    device: str = key("cpu", form=DEVICE)
    precision: Precision = "float32"
    exchange: Exchange = "digest"
    quorum: float = key(0.0, least=0, most=1)
    max_skipped: int = key(20, least=0, most=LAST_STEP, hashed=False)
    round_timeout: float = key(60.0, least=0.001, most=LONGEST_WAIT)
    startup_timeout: float = key(300.0, least=0.001, most=LONGEST_WAIT)
    compression: Compression = "auto"
    chunk_elements: int = key(1 << 18, least=1, most=1 << 28)  # MPI counts a message's bytes in 31 bits


@dataclass(frozen=True, kw_only=True)
class DataSection(Section):
    """The data set and its own keywords.

    Args:
        name: the data set.
        root: the folder of its files and of the arrays made of them, which all processes map; without one, the user's cache.
        batch_size: b, samples a step over all files; a multiple of the number of files.
        augment: whether to crop and flip training images at random, padded as is published for the data set: SVHN with zeros, the
            others by reflection.
        split: "none" (each step cuts a random batch into files), or how the training samples are cut into shards, one a file,
            for the whole run: "iid" (random and equal), "label_sorted" (sorted by class and cut into equal parts), "gamma" (a
            share gamma as "iid", the rest as "label_sorted") or "dirichlet" (each class in proportions drawn from
            Dirichlet(alpha)); see docs/heterogeneity.md.
        gamma: of split "gamma", ignored by the others: 1 is "iid", 0 is "label_sorted".
        alpha: of split "dirichlet", ignored by the others; the smaller, the more the shards differ.

    Example:
        [data]
        name = "synthetic"
        batch_size = 300
        split = "dirichlet"        # files bound to shards; without it, random files
        alpha = 1.0
        image_shape = [1, 28, 28]  # a keyword of this data set
    """

    name: str = "mnist5k"
    root: str | None = key(None, hashed=False)
    batch_size: int = key(300, least=1, most=LAST_STEP)
    augment: bool = False
    split: Split = "none"
    gamma: float = key(0.5, least=0, most=1)
    alpha: float = key(1.0, least=0.001, most=1_000_000)
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelSection(Section):
    """The network and its own keywords.

    Args:
        name: the model.

    Example:
        [model]
        name = "mlp"
        hidden = [100, 50]         # a keyword of this model
    """

    name: str = "lenet"
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LossSection(Section):
    """What training minimizes, and the loss's own keywords.

    Args:
        name: the loss, a mean over the samples of a batch.
        takes: "output" (called with the network's output and the target) or "model" (your own function, called with the network
            and the batch, for what is no function of one output).

    Example:
        [loss]
        name = "cross_entropy"     # your own: "my_package.my_module:my_loss", or a class, such as "torch.nn:CrossEntropyLoss"
        label_smoothing = 0.1      # a keyword of this loss
    """

    name: str = "cross_entropy"
    takes: Literal["output", "model"] = "output"
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlacementSection(Section):
    """Who computes which file; sizes that a scheme does not have are ignored, so that schemes can be compared.

    Args:
        scheme: the placement scheme.
        load: l, files a worker.
        replication: r, workers a file.
        m: of ramanujan2.
        path: the .json or .npy file of a custom placement.
        permute: whether the workers change their places at random before each step.

    Example:
        [placement]
        scheme = "mols"
        replication = 3            # and the load follows from cluster.num_workers
    """

    scheme: str = "mols"
    load: int | None = key(None, least=1, most=1024)
    replication: int | None = key(None, least=1, most=255)
    m: int | None = key(None, least=1, most=1024)
    path: str | None = None
    permute: bool = False


@dataclass(frozen=True, kw_only=True)
class VoteSection(Section):
    """How the copies of a file become one.

    Args:
        name: "exact" (r' equal copies of r decide a file) or "aspis" (all copies are waited for; workers that are proven
            Byzantine by whom they disagree with are discarded, and most of the other copies decide).
        num_byzantine: for "aspis", the most workers that may be Byzantine, fewer than half of them; "auto" takes
            attack.num_byzantine.
        window: for "aspis", steps over which disagreements add up before they are forgotten; no more workers may be Byzantine
            in all of them together. With placement.permute this is Aspis+.

    Example:
        [vote]
        name = "aspis"             # for placement.scheme = "aspis"; see docs/defenses.md
        num_byzantine = 3
        window = 1
    """

    name: VoteRule = "exact"
    num_byzantine: int | Literal["auto"] = key("auto", least=0, most=MOST_WORKERS)
    window: int = key(1, least=1, most=LAST_STEP)


@dataclass(frozen=True, kw_only=True)
class AuditSection(Section):
    """What the server computes itself to find out who lies; see docs/audits.md. Not with vote "aspis" nor the coded exchange.

    Args:
        arbitrate: whether the server computes a file whose copies disagree. Then only copies that all agree decide a file, all
            r of them are computed, and r may be even.
        rate: the probability with which each decided file is computed again before it counts; or "idle": while the server waits
            for votes, it checks files of the step before, as many as fit (in a simulation one), and a lie counts for one step.
        by: "server", or "workers": one more worker, drawn at random, computes the file again, and the server judges if they
            disagree.
        expel: "proof" (who is convicted no longer counts, and others compute its files) or "never" (it is only recorded).
        probation: steps without a fault after which a convicted worker counts again, once; 0 for never.
        rollback: whether to go back to an earlier checkpoint after a conviction and to do again what the convicted worker may
            have corrupted. The more checkpoints there are (run.checkpoint_every), the less is done again.
        clean_steps: steps in a row without a lie of the convicted worker, before which nobody looks further back.
        seed: fixes what is drawn, for experiments: whoever knows it knows what is not checked. Without, the operating system's
            random numbers.
        record: whether record.jsonl is written, with which `byzshield verify` checks a run; with audits, it always is.

    Example:
        [audit]
        arbitrate = true           # for r = 2 or more
        rate = 0.1                 # for any r, also 1
        rollback = true
    """

    arbitrate: bool = key(False, may_change=True)
    rate: float | Literal["idle"] = key(0.0, least=0, most=1, may_change=True)
    by: AuditBy = key("server", may_change=True)
    expel: Expel = key("proof", may_change=True)
    probation: int = key(0, least=0, most=LAST_STEP, may_change=True)
    rollback: bool = key(False, may_change=True)
    clean_steps: int = key(50, least=1, most=LAST_STEP, may_change=True)
    seed: int | None = key(None, least=0, most=LARGEST_INTEGER, may_change=True)
    record: bool = key(False, hashed=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate == "idle" and self.by == "workers":
            raise ConfigError('audit.by: "workers" have no idle time; leave it out, or give audit.rate a number')
        if self.expel == "never" and (self.rollback or self.probation):
            raise ConfigError('audit.expel: "never" expels nobody; leave out audit.rollback and audit.probation')

    @property
    def enabled(self) -> bool:
        """Whether the server computes anything itself."""
        return self.arbitrate or self.rate != 0

    @property
    def recorded(self) -> bool:
        """Whether record.jsonl is written."""
        return self.enabled or self.record


@dataclass(frozen=True, kw_only=True)
class AggregationSection(Section):
    """The rule that combines the winners, and its own keywords.

    Args:
        rule: the aggregation rule.
        pre: what to do with the rows before the rule, in order: names of pre-aggregators, or tables with a name and keywords.
        num_corrupted: files that may be wrong after the vote; "auto" takes the worst case of the placement, c_max(q).
        momentum: beta of the momentum that the server holds for each file and hands on in place of its gradient; 0 for none. It
            needs data.split, and 4 bytes a file and parameter at the server and in each checkpoint; see docs/heterogeneity.md.
        momentum_form: "ema" (m = beta m + (1 - beta) g) or "sum" (m = beta m + g).
        device: where the server combines gradients, as `cluster.device` has it; a GPU needs room for those of all files. Not
            used in the coded exchange.
        winners_mib: MiB for the winners of all files at the server. Where they take more, it fetches and combines some columns of
            all files after the others, for which the workers keep what they have computed. That needs the digest exchange, a
            coordinate-wise rule without `pre` and `momentum`, and a CPU to combine; results stay the same, bit for bit. Only the
            first columns travel while workers compute, so a step takes longer where the network is slow. "auto" takes room for
            all winners or, if that is more than half of the memory that is free and such a rule can do without, an eighth of it.

    Example:
        [aggregation]
        rule = "centered_clipping"
        radius = 1.0               # a keyword of this rule
        pre = ["nnm", {name = "bucketing", bucket_size = 2}]
        num_corrupted = "auto"
    """

    rule: str = "median"
    pre: tuple[str | Options, ...] = ()
    num_corrupted: int | Literal["auto"] = key("auto", least=0, most=LAST_STEP)
    momentum: float = key(0.0, least=0, most=0.9999)
    momentum_form: MomentumForm = "ema"
    device: str = key("cpu", form=DEVICE)
    winners_mib: int | Literal["auto"] = key("auto", least=1, most=1 << 30, hashed=False)
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AttackSection(Section):
    """What the Byzantine workers do, and the attack's own keywords.

    Args:
        name: the attack; not used while num_byzantine is 0.
        num_byzantine: q.
        selection: "worst" (a set that corrupts most files), "random", "first" (0 to q - 1), or "fixed" (those in `workers`). Only
            for groups of workers that hold the same files: "detox_worst" (r' in as many groups as q buys, the rest in the next
            one), "detox_benign" (one in each group, round-robin), or "detox_whole_group" (all of one group, then of the next).
        redraw_every: steps for which a draw of selection "random" holds; 0 draws once for the whole run.
        workers: the Byzantine workers of selection "fixed".
        knowledge: "own" (the gradients that the accomplices were given) or "omniscient" (those of all files).
        files: which of their files the accomplices forge: "all", "majority" (those of which they hold a majority of the copies),
            or "disagreement" (those whose honest holders are all among the first q honest workers, so that detection cannot tell
            the two sides apart); the others they send as they are.
        forge_statistics: whether the attack also forges what travels with a gradient, the BatchNorm statistics and the loss; as
            published, it does not.

    Example:
        [attack]
        name = "alie"              # your own: "my_package.my_module:MyAttack"
        z = 1.5                    # a keyword of this attack
        num_byzantine = 3
        selection = "fixed"
        workers = [0, 7, 14]
        knowledge = "own"
    """

    name: str = "alie"
    num_byzantine: int = key(0, least=0, most=MOST_WORKERS)
    selection: SelectionRule = "worst"
    redraw_every: int = key(1, least=0, most=LAST_STEP)
    workers: tuple[int, ...] = key((), least=0, most=MOST_WORKERS)
    knowledge: Knowledge = "omniscient"
    files: ForgedFiles = "all"
    forge_statistics: bool = False
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OptimizerSection(Section):
    """How the server applies the combined gradient: a class of torch.optim and its own keywords, which torch documents.

    Args:
        name: a class that trains one flat parameter from its gradient alone, so not LBFGS, SparseAdam or Muon.
        lr: the learning rate at the start.
        groups: tables of keywords (lr, weight_decay, ...) for some of the parameters. Which these are say `match`, patterns of
            which one must fit the parameter's name in the network ("*" stands for anything, dots too), and `max_ndim`, the most
            dimensions that it may have: 1 takes biases and what normalizations learn. A parameter is in the first group that
            takes it. Schedules act on all groups; those with rates of their own (OneCycleLR, CyclicLR) take a list of them, the
            first for the parameters in no group. To Adafactor, which sees more than one number at a time, parameters of a group
            that follow one another are one.
        clip_norm: the greatest length (2-norm) of the combined gradient of all parameters; a longer one is shortened to it.
            metrics.jsonl has the length before, gradient_norm.
        accumulate: n, steps whose combined gradients are averaged for one update; in between, the parameters stay, while
            BatchNorm's statistics move at each step. The mean is what is clipped, and a schedule counts updates. A skipped step
            adds nothing, so that the update comes a step later. What is left over at the end of the run is in its checkpoint.

    Example:
        [optimizer]
        name = "SGD"
        lr = 0.05
        momentum = 0.9             # a keyword of this class
        weight_decay = 5e-4
        groups = [{max_ndim = 1, weight_decay = 0.0}]  # or match = ["*.bias", "*norm*"]: patterns of names
        clip_norm = 1.0
    """

    name: str = "SGD"
    lr: float = key(0.05, least=0, most=1_000_000, may_change=True)
    groups: tuple[Options, ...] = key((), may_change=True, fixed=("match", "max_ndim"))
    clip_norm: float | None = key(None, least=1e-9, most=1e9, may_change=True)
    accumulate: int = key(1, least=1, most=LAST_STEP)
    options: Options = field(default_factory=dict, metadata={CONSTRAINT: Constraint(may_change=True)})

    def __post_init__(self) -> None:
        super().__post_init__()
        for index, group in enumerate(self.groups):
            dotted = f"optimizer.groups[{index}]"
            if not group.keys() & {"match", "max_ndim"}:
                raise ConfigError(f"{dotted}: needs match or max_ndim, which say what parameters it is for")
            check(f"{dotted}.match", group.get("match", []), list[str])
            check(f"{dotted}.max_ndim", group.get("max_ndim", 0), int, least=0, most=MOST_DIMENSIONS)


@dataclass(frozen=True, kw_only=True)
class ScheduleSection(Section):
    """How the learning rate changes after each update: a class of torch.optim.lr_scheduler and its own keywords.

    Args:
        name: a class that needs neither a metric nor functions nor other schedules; or your own function or class; or
            "exponential_steps", with keywords gamma and step_size, which sets the rate to lr * gamma^floor(t / step_size) before
            step t = 1, 2, ..., and counts skipped steps, too; or "sequence", whose parts are tables like this section, each but
            the last with its number of steps (also the total_iters of a part that has such a keyword, unless it is given). Steps
            are updates here. T_max and total_steps that are not given are the length of the part, or what the run has left for
            it, so that a resumed run with more steps moves them. Without a name, the learning rate stays.

    Example:
        [schedule]
        name = "sequence"          # or one class alone: name = "StepLR", step_size = 100, gamma = 0.5; your own: "my_module:name"
        parts = [
            {name = "LinearLR", steps = 10, start_factor = 0.1},
            {name = "CosineAnnealingLR"},
        ]
    """

    name: str | None = key(None, may_change=True)
    options: Options = field(default_factory=dict, metadata={CONSTRAINT: Constraint(may_change=True)})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.options and self.name is None:
            raise ConfigError(f"schedule.name: is required, or nobody takes {', '.join(sorted(self.options))}")


@dataclass(frozen=True, kw_only=True)
class MetricsSection(Section):
    """What is recorded besides metrics.jsonl; docs/watching.md shows what comes of it.

    Args:
        log_every: steps between two lines of the log; 0 logs none.
        csv: whether to write the lines of metrics.jsonl as a table, too: metrics.csv in the run's folder.
        tensorboard: whether to write them as events for TensorBoard: events/ in the run's folder.
        prometheus: a file to keep up to date with how the run stands, for the textfile collector of Prometheus' node exporter
            (whose files end in .prom); true takes metrics.prom in the run's folder.

    Example:
        [metrics]
        log_every = 10
        csv = true
        tensorboard = true
        prometheus = true          # or a path: "/var/lib/node_exporter/byzshield.prom"
    """

    log_every: int = key(0, least=0, most=LAST_STEP, hashed=False)
    csv: bool = key(False, hashed=False)
    tensorboard: bool = key(False, hashed=False)
    prometheus: bool | str = key(False, hashed=False)


@dataclass(frozen=True, kw_only=True)
class EvaluationSection(Section):
    """What is measured on the test samples, besides the loss.

    Args:
        metrics: names of metrics, each recorded as test_NAME; your own function as "module:function". "auto" takes accuracy and
            top5_accuracy for the loss cross_entropy, and none for others.
        batch_size: test samples at a time.

    Example:
        [evaluation]
        metrics = ["accuracy"]     # your own: "my_package.my_module:my_metric"
    """

    metrics: Literal["auto"] | tuple[str, ...] = key("auto", hashed=False)
    batch_size: int = key(500, least=1, most=LAST_STEP, hashed=False)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run file.

    Raises:
        ConfigError: a section is of another type.
    """

    run: RunSection = field(default_factory=RunSection)
    cluster: ClusterSection = field(default_factory=ClusterSection)
    data: DataSection = field(default_factory=DataSection)
    model: ModelSection = field(default_factory=ModelSection)
    loss: LossSection = field(default_factory=LossSection)
    placement: PlacementSection = field(default_factory=PlacementSection)
    vote: VoteSection = field(default_factory=VoteSection)
    audit: AuditSection = field(default_factory=AuditSection)
    aggregation: AggregationSection = field(default_factory=AggregationSection)
    attack: AttackSection = field(default_factory=AttackSection)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    schedule: ScheduleSection = field(default_factory=ScheduleSection)
    metrics: MetricsSection = field(default_factory=MetricsSection)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)

    def __post_init__(self) -> None:
        for name, section in self.sections().items():
            value = getattr(self, name)
            if not isinstance(value, section):
                raise ConfigError(f"{name}: must be a {section.__name__}; got {value!r}")

    @classmethod
    def sections(cls) -> dict[str, type[Section]]:
        """Its sections by name."""
        types = get_type_hints(cls)
        return {entry.name: types[entry.name] for entry in fields(cls)}
