"""Objects from a configuration: the only place where both are known."""

import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Aggregator, Pipeline, PreAggregator
from byzshield.attacks import ATTACKS, Attack, Selection
from byzshield.coding import CyclicCode, Decoder
from byzshield.config import RunConfig
from byzshield.data import DATASETS, Dataset, FileSampler
from byzshield.distortion import WorstCase, most_byzantine, most_undetected, worst_case
from byzshield.errors import ConfigError, ParameterError, TooFewRowsError
from byzshield.log import get_logger
from byzshield.models import MODELS, FlatModel, seeded
from byzshield.placement import Assignment, baseline, build, cyclic, permuted
from byzshield.runtime.components import MISFITS, make, one_line
from byzshield.runtime.memory import require_memory
from byzshield.runtime.optimizers import build_optimizer
from byzshield.runtime.schedules import build_scheduler
from byzshield.runtime.weights import load_weights
from byzshield.seeding import torch_seed
from byzshield.storage import cache_directory
from byzshield.training import Adversary, GradientComputer, ParameterServer, TrainingState, Worker
from byzshield.training.decoding import Decoding
from byzshield.training.evaluation import Evaluation, evaluate
from byzshield.voting import Detection
from byzshield.wire import SERVER_RANK, ArrayEncoder, ChunkLayout

__all__ = ["Builder"]

LOG = get_logger(__name__)
SEARCH_SECONDS = 60.0
WORTH_A_WARNING = 1e-3  # of a combination, by which unseen lies can move a sum


@dataclass(frozen=True)
class Builder:
    """Builds the parts of a run, each once.

    Args:
        config: the resolved run file.
        num_ranks: processes, of which rank 0 is the server; 2 puts all workers into one other process.
        witness: the worst-case workers, where the server has worked them out already.
    """

    config: RunConfig
    num_ranks: int = 2
    witness: tuple[int, ...] = ()

    @cached_property
    def assignment(self) -> Assignment:
        """Who computes which file."""
        section = self.config.placement
        try:
            assignment = build(
                section.scheme,
                num_workers=self.config.cluster.num_workers,
                load=section.load,
                replication=section.replication,
                m=section.m,
                path=section.path,
            )
        except MISFITS as error:
            raise ConfigError(f"placement: {one_line(error)}") from error
        if self.num_ranks < 2:
            raise ConfigError(
                f"one process cannot train: start the server and {assignment.num_workers} workers with "
                f"mpirun -n {assignment.num_workers + 1}, or use byzshield simulate"
            )
        if self.num_ranks > assignment.num_workers + 1:
            raise ConfigError(
                f"{self.num_ranks} processes are more than the server and {assignment.num_workers} workers: "
                f"use mpirun -n {assignment.num_workers + 1} or fewer"
            )
        return permuted(assignment, seed=self.config.run.seed) if section.permute else assignment

    @cached_property
    def rank_of(self) -> list[int]:
        """For each worker the rank that hosts it: blocks of equal size over ranks 1, 2, ..."""
        hosts = self.num_ranks - 1
        return [1 + worker * hosts // self.assignment.num_workers for worker in range(self.assignment.num_workers)]

    @cached_property
    def worst_case(self) -> WorstCase:
        """What the Byzantine workers can corrupt at most; only the server asks."""
        try:
            worst = worst_case(self.assignment, num_byzantine=self.config.attack.num_byzantine, time_limit=SEARCH_SECONDS)
        except ParameterError as error:
            raise ConfigError(f"attack: {error}") from error
        if not worst.exact:
            LOG.warning("the worst case is only known to lie between %d and %d files", worst.c_max, worst.upper_bound)
        return worst

    @cached_property
    def detection(self) -> Detection | None:
        """What finds proven Byzantine workers; None for the plain vote."""
        section = self.config.vote
        if section.name == "exact":
            return None
        bound = self.config.attack.num_byzantine if section.num_byzantine == "auto" else section.num_byzantine
        if 2 * bound >= self.assignment.num_workers:
            raise ConfigError(
                f"vote.num_byzantine: must be less than half of the {self.assignment.num_workers} workers, or nobody can be "
                f"proven Byzantine; got {bound}"
            )
        return Detection(bound, window=section.window)

    @cached_property
    def most_corrupted(self) -> int:
        """Files that may be wrong after the vote, at most."""
        most = self.worst_case.upper_bound
        if self.detection is None:
            return most
        section = self.config.attack
        if section.selection == "random" and section.redraw_every % self.config.vote.window:
            # More than q workers are Byzantine within a window, so honest ones may be discarded.
            return min(self.assignment.num_files, section.num_byzantine * self.assignment.load)
        return most_undetected(
            self.assignment,
            num_byzantine=section.num_byzantine,
            bound=self.detection.bound,
            without_detection=most,
        )

    @cached_property
    def selection(self) -> Selection:
        """Who is Byzantine in which step."""
        section = self.config.attack
        workers = section.workers
        if section.selection == "worst" and not workers and section.num_byzantine:
            workers = self.witness or self.worst_case.witness
        try:
            return Selection(
                self.assignment,
                num_byzantine=section.num_byzantine,
                rule=section.selection,
                redraw_every=section.redraw_every,
                files=section.files,
                workers=workers,
                seed=self.config.run.seed,
            )
        except ParameterError as error:
            raise ConfigError(f"attack: {error}") from error

    @cached_property
    def ranks_of_accomplices(self) -> frozenset[int]:
        """The ranks that host a worker which is Byzantine in any step."""
        drawn = self.config.attack.num_byzantine and self.selection.rule == "random"
        workers = range(len(self.rank_of)) if drawn else self.selection.byzantine_at(1)
        return frozenset(self.rank_of[worker] for worker in workers)

    @cached_property
    def attack(self) -> Attack:
        """What the Byzantine workers do."""
        section = self.config.attack
        attack: Attack = make(ATTACKS, section.name, "attack.name", section.options, known=section.known_keys())
        return attack

    @cached_property
    def dataset(self) -> Dataset:
        """The images."""
        section = self.config.data
        root = Path(os.path.expanduser(section.root)) if section.root else cache_directory()
        dataset = make(
            DATASETS, section.name, "data.name", section.options, known=section.known_keys(), root=root, download=False
        )
        if not isinstance(dataset, Dataset):
            raise ConfigError(f"data.name: {section.name} makes no data set")
        return dataset

    @cached_property
    def sampler(self) -> FileSampler:
        """Which samples are in which file."""
        return FileSampler(
            num_samples=len(self.dataset.train_labels),
            batch_size=self.config.data.batch_size,
            num_files=self.assignment.num_files,
            seed=self.config.run.seed,
        )

    @cached_property
    def computer(self) -> GradientComputer:
        """What computes gradients, over a model of its own."""
        return GradientComputer(
            self.model(),
            self.dataset,
            self.sampler,
            seed=self.config.run.seed,
            augment=self.config.data.augment,
            device=self.config.cluster.device,
            clock=time.perf_counter,
        )

    def model(self) -> FlatModel:
        """A new model with the run's initial parameters."""
        section = self.config.model
        dataset = self.dataset
        # The purpose is part of the seed: another spelling would draw other parameters.
        with seeded(torch_seed(self.config.run.seed, "initialisation"), torch.device("cpu")):
            module = make(
                MODELS,
                section.name,
                "model.name",
                section.options,
                known=section.known_keys(),
                image_shape=dataset.image_shape,
                num_classes=dataset.num_classes,
            )
            if not isinstance(module, torch.nn.Module):
                raise ConfigError(f"model.name: {section.name} makes no torch.nn.Module")
            if ":" in section.name:  # what is registered has checked the shape of the images itself
                _require_logits(section.name, module, dataset)
        return FlatModel(module, device=self.config.cluster.device)

    def pipeline(self) -> Pipeline:
        """The pre-aggregators and the robust rule, refused if they do not tolerate the placement's worst case."""
        section = self.config.aggregation
        num_corrupted = self.most_corrupted if section.num_corrupted == "auto" else section.num_corrupted
        shared: dict[str, Any] = {"num_corrupted": num_corrupted, "defaults": {"seed": self.config.run.seed}}
        pre = []
        for index, entry in enumerate(section.pre):
            key, options = f"aggregation.pre[{index}].name", {"name": entry} if isinstance(entry, str) else dict(entry)
            if not isinstance(options.get("name"), str):
                raise ConfigError(f"{key}: is required in each table")
            pre.append(make(PRE_AGGREGATORS, options.pop("name"), key, options, known={"name"}, **shared))
        rule = make(AGGREGATORS, section.rule, "aggregation.rule", section.options, known=section.known_keys(), **shared)
        try:
            pipeline = Pipeline(rule, pre)
            pipeline.check_rows(self.assignment.num_files)
        except TooFewRowsError as error:
            raise ConfigError(f"aggregation: {error}; {self._what_fits(rule, pre)}") from error
        except ParameterError as error:
            raise ConfigError(f"aggregation: {error}") from error
        return pipeline

    def _what_fits(self, rule: Aggregator, pre: list[PreAggregator]) -> str:
        """What to change when the rule does not tolerate `num_corrupted` files, and how to run it all the same."""
        num_files = self.assignment.num_files

        def tolerates(num_corrupted: int) -> bool:
            try:
                Pipeline(rule.against(num_corrupted), pre).check_rows(num_files)
            except ParameterError:  # too few rows, or a number that the rule refuses for another reason
                return False
            return True

        most = next((count for count in reversed(range(num_files)) if tolerates(count)), -1)
        if most < 0:
            return f"use another rule or a placement with more than {num_files} files"
        override = f"--set aggregation.num_corrupted={most}"
        tolerated = f"with the {num_files} files of this placement it tolerates {most}"
        if self.config.aggregation.num_corrupted != "auto":
            return f"{tolerated}: change the rule or the placement, or use {override}"
        if self.detection is not None:
            return f"{tolerated}: change attack.num_byzantine, the rule or the placement, or, to see it fail, use {override}"
        fits = most_byzantine(self.assignment, num_corrupted=most, time_limit=SEARCH_SECONDS)
        return (
            f"{tolerated}, so at most {fits} Byzantine workers: change attack.num_byzantine, the rule or the placement, "
            f"or, to see it fail, use {override}"
        )

    @cached_property
    def code(self) -> CyclicCode | None:
        """How the coded exchange combines files; None for the others."""
        if self.config.cluster.exchange != "coded":
            return None
        assignment, aggregation = self.assignment, self.config.aggregation
        size, held = assignment.num_workers, assignment.replication
        if not np.array_equal(assignment.files_of, cyclic(num_workers=size, replication=held).files_of):
            raise ConfigError(f'cluster.exchange: "coded" needs placement.scheme = "cyclic"; got {assignment.scheme!r}')
        if aggregation.rule != "mean" or aggregation.pre:
            raise ConfigError(
                'cluster.exchange: "coded" recovers the mean of all files and none of them alone, so it needs '
                f'aggregation.rule = "mean" and no aggregation.pre; got {aggregation.rule!r} and {list(aggregation.pre)}'
            )
        if self.config.placement.permute:
            raise ConfigError('cluster.exchange: "coded" needs workers that keep their places; leave out placement.permute')
        if self.config.vote.name != "exact":
            raise ConfigError(f'cluster.exchange: "coded" has no votes; leave out vote.name, which is {self.config.vote.name!r}')
        errors, num_byzantine = (held - 1) // 2, self.config.attack.num_byzantine
        if num_byzantine > errors and aggregation.num_corrupted == "auto":
            raise ConfigError(
                f"attack.num_byzantine: the cyclic code of replication {held} withstands {errors} workers; got {num_byzantine}: "
                f"use placement.replication = {2 * num_byzantine + 1} or, to see it fail, --set aggregation.num_corrupted=0"
            )
        code = CyclicCode(num_workers=size, num_errors=errors)
        if Decoder(code).unseen_harm > WORTH_A_WARNING:
            LOG.warning(
                "a cyclic code of %d workers and s = %d is at the limits of float64: s liars side by side can move the mean",
                size,
                errors,
            )
        return code

    def server(self) -> ParameterServer:
        """The parameter server with a model of its own."""
        cluster, run = self.config.cluster, self.config.run
        if run.start_step and run.start_from is None:
            raise ConfigError("run.start_step: needs the weights of that step in run.start_from")
        if run.start_step >= run.steps:
            raise ConfigError(f"run.start_step: must be less than run.steps = {run.steps}; got {run.start_step}")
        model = self.model()
        if run.start_from is not None:
            load_weights(Path(os.path.expanduser(run.start_from)), model.module)
        optimizer = build_optimizer(self.config, torch.nn.Parameter(model.parameters))  # shares the model's storage
        coded = self.code is not None
        require_memory(self, SERVER_RANK)
        server = ParameterServer(
            state=TrainingState(model=model, optimizer=optimizer, scheduler=build_scheduler(self.config, optimizer)),
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
        )
        server.begin_behind(run.start_step)
        return server

    def worker(self, rank: int) -> Worker:
        """The logical workers of `rank`; those of all ranks in this process share one model."""
        cluster, computer = self.config.cluster, self.computer
        require_memory(self, rank)
        adversary = None
        if self.config.attack.num_byzantine:
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

    @property
    def on_request(self) -> bool:
        """Whether copies that nobody needs if nobody fails wait for a request; not where all votes count."""
        return self.config.cluster.exchange == "digest" and self.detection is None

    def _sent(self, size: int) -> ChunkLayout:
        """The chunks of what a worker sends of `size` values: those themselves, or twice as many of twice the bytes."""
        elements = self.config.cluster.chunk_elements
        return ChunkLayout(size, elements) if self.code is None else ChunkLayout(2 * size, -(-elements // 2))

    def evaluate(self, model: FlatModel) -> Evaluation:
        """What a model makes of the test set."""
        return evaluate(model.module, self.dataset, device=self.config.cluster.device)

    def set_threads(self) -> None:
        """Fixes what the bits of a gradient depend on besides its inputs."""
        torch.set_num_threads(self.config.cluster.num_threads)
        device = torch.device(self.config.cluster.device)
        if device.type != "cpu":
            if (device.index or 0) >= torch.cuda.device_count():
                raise ConfigError(f'cluster.device: this machine has no {self.config.cluster.device!r}; use "cpu"')
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False


def _require_logits(name: str, module: torch.nn.Module, dataset: Dataset) -> None:
    """Refuses a user's network that does not map the images of the data set to one logit a class."""
    images = torch.zeros(2, *dataset.image_shape)
    try:
        with torch.no_grad():
            logits = module.eval()(images)
    except MISFITS as error:
        raise ConfigError(f"model.name: {name} fails on images of shape {list(images.shape)}: {one_line(error)}") from error
    expected = [2, dataset.num_classes]
    found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if found != expected:
        raise ConfigError(f"model.name: {name} must map images of shape {list(images.shape)} to {expected}; got {found}")
    module.train()
