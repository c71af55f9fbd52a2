"""Objects from a configuration: the only place where both are known."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from byzshield.arrays import Float32
from byzshield.errors import ComputationError, ConfigError, explain
from byzshield.log import get_logger
from byzshield.models import FlatModel
from byzshield.placement import baseline
from byzshield.runtime.building.combination import Combination
from byzshield.runtime.memory import require_memory
from byzshield.runtime.optimizers import REHEARSED_STEPS, build_optimizer, rehearse_optimizer, twin_of
from byzshield.runtime.schedules import build_scheduler
from byzshield.runtime.weights import load_weights
from byzshield.training import Adversary, ParameterServer, TrainingState, Worker
from byzshield.training.audit import Audit, Convictions
from byzshield.training.decoding import Decoding
from byzshield.training.evaluation import evaluate
from byzshield.wire import SERVER_RANK, ArrayEncoder, ChunkLayout

__all__ = ["Builder"]

LOG = get_logger(__name__)


@dataclass(frozen=True)
class Builder(Combination):
    """Builds the parts of a run, each once.

    Each class that this one is made of knows only those below it: `Places`, which says what it takes, `Task`, `Combination`.
    """

    def check(self) -> None:
        """Refuses what is impossible and can be told without samples and a network, as a sweep does before it runs a cell.

        Raises:
            ConfigError: a part of the run does not exist, does not take such keywords, or does not go with another.
        """
        super().check()
        run, section, device = self.config.run, self.config.optimizer, torch.device(self.device)
        self._audit()
        rehearse_optimizer(section, device)
        # How many steps epochs are is known with the samples; a schedule with a length of its own is then held to that.
        updates = REHEARSED_STEPS if run.steps is None or run.epochs is not None else run.steps // section.accumulate
        build_scheduler(self.config, twin_of(section, device), updates=updates, own=self.objects.schedules)

    def server(self, *, within_memory: bool = True) -> ParameterServer:
        """The parameter server with a model of its own.

        Args:
            within_memory: whether it is refused where a step of this job's ranks takes more memory than is free.
        """
        cluster, run = self.config.cluster, self.config.run
        if run.start_step and run.start_from is None:
            raise ConfigError("run.start_step: needs the weights of that step in run.start_from")
        if run.start_step >= self.steps:
            limit = f"run.steps = {self.steps}" if self.steps == run.steps else f"the {self.steps} steps of run.epochs"
            raise ConfigError(f"run.start_step: must be less than {limit}; got {run.start_step}")
        model = self.model()
        if run.start_from is not None:
            load_weights(Path(os.path.expanduser(run.start_from)), model.module)
        accumulate = self.config.optimizer.accumulate
        if idle := self.steps % accumulate:
            LOG.warning("the last %d of %d steps make no update: optimizer.accumulate is %d", idle, self.steps, accumulate)
        coded = self.code is not None
        self.attack_needs_rule  # noqa: B018 - refused here where there is no rule that it could try
        state = self.training_state(model)
        if within_memory:
            require_memory(self, SERVER_RANK)
        if self.config.audit.enabled and self.config.audit.seed is not None:
            LOG.warning("audit.seed makes audits predictable: whoever knows it lies where nobody looks; for experiments alone")
        server = ParameterServer(
            state=state,
            pipeline=Decoding(self.code, seed=self.config.run.seed) if self.code else self.pipeline(),
            assignment=baseline(num_workers=self.assignment.num_workers) if coded else self.assignment,
            rank_of=self.rank_of,
            layout=self._sent(model.size),
            exchange=cluster.exchange,
            round_timeout=cluster.round_timeout,
            encoder=ArrayEncoder(cluster.compression),
            quorum=0.0 if coded else cluster.quorum,
            detection=self.detection,
            on_request=self.on_request,
            momentum=self._momentum(model.num_parameters),
            audit=self._audit(),
            convictions=Convictions(probation=self.config.audit.probation),
            window=self.window,
        )
        server.begin_behind(run.start_step)
        self._warn_of_small_shards()
        self._warn_of_more_corrupted_files()
        self._check_buffers(model.module)
        if self.config.attack.num_byzantine:
            self.poison  # noqa: B018 - refused where it is made
        return server

    def training_state(self, model: FlatModel) -> TrainingState:
        """What moves the parameters of `model`, from before the first step."""
        section, optimizer = self.config.optimizer, build_optimizer(self.config, model)
        return TrainingState(
            model=model,
            optimizer=optimizer,
            scheduler=build_scheduler(
                self.config, optimizer, updates=self.steps // section.accumulate, own=self.objects.schedules
            ),
            accumulate=section.accumulate,
            clip_norm=section.clip_norm,
        )

    def _audit(self) -> Audit | None:
        """What the server does about files that it can compute itself; None if nothing."""
        section = self.config.audit
        if not section.enabled:
            for name in ("rollback", "probation"):
                if getattr(section, name):
                    raise ConfigError(f"audit.{name}: nobody is convicted without audit.arbitrate = true or audit.rate > 0")
            return None
        if self.config.cluster.exchange == "coded" or self.detection is not None:
            raise ConfigError(
                'audit: needs single files and the plain vote; leave out cluster.exchange = "coded" and vote.name = "aspis", '
                "or audit.arbitrate and audit.rate"
            )
        return Audit(
            computer=self.gradient,
            samples=lambda step, file: self.sampler.rows(step, file).tolist(),
            arbitrate=section.arbitrate,
            rate=0.0 if section.rate == "idle" else section.rate,
            idle=section.rate == "idle",
            by=section.by,
            expel=section.expel == "proof",
            seed=section.seed,
        )

    def vote_on(self, parameters: Float32, step: int, file: int) -> bytes:
        """The digests with which an honest worker votes on a file, computed at these parameters, float32 [p]."""
        self.computer.load(parameters)
        vector = self.computer.or_nan(step, file)
        return self._sent(vector.size).digests(vector)

    def worker(self, rank: int, *, honest: bool = False) -> Worker:
        """The logical workers of `rank`, all of them honest if told so; those of all ranks in this process share one model."""
        cluster, computer = self.config.cluster, self.computer
        require_memory(self, rank)
        adversary = None
        if self.config.attack.num_byzantine and not honest:
            adversary = Adversary(
                rank=rank,
                attack=self.attack,
                selection=self.selection,
                knowledge=self.config.attack.knowledge,
                rank_of=self.rank_of,
                layout=ChunkLayout(computer.size, cluster.chunk_elements),
                num_parameters=computer.num_parameters,
                forge_statistics=self.config.attack.forge_statistics,
                seed=self.config.run.seed,
                rule=self.pipeline(device="cpu") if self.attack_needs_rule else None,
                read_parameters=computer.parameters,
                memories=self.memories,
                poison=self.poison,
            )
        return Worker(
            workers=[worker for worker, host in enumerate(self.rank_of) if host == rank],
            assignment=self.assignment,
            computer=computer,
            layout=self._sent(computer.size),
            encoder=ArrayEncoder(cluster.compression),
            exchange=cluster.exchange,
            code=self.code,
            adversary=adversary,
            on_request=self.on_request,
        )

    def _sent(self, size: int) -> ChunkLayout:
        """The chunks of what a worker sends of `size` values: those themselves, or twice as many of twice the bytes."""
        elements = self.config.cluster.chunk_elements
        return ChunkLayout(size, elements) if self.code is None else ChunkLayout(2 * size, -(-elements // 2))

    def evaluate(self, model: FlatModel) -> dict[str, float]:
        """What a model makes of the test samples: the loss and each metric.

        Raises:
            ComputationError: data, network, loss or a metric raise something.
        """
        try:
            return evaluate(
                model.module,
                self.data,
                self.objective,
                batch_size=self.config.evaluation.batch_size,
                device=self.device,
            )
        except Exception as error:  # whatever the user's code raises
            raise ComputationError(f"the test has failed: {explain(error)}") from error

    def set_threads(self) -> None:
        """Fixes what the bits of a gradient depend on besides its inputs."""
        torch.set_num_threads(self.config.cluster.num_threads)
        if {self.device, self.config.aggregation.device} != {"cpu"}:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False
