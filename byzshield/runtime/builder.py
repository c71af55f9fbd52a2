"""Objects from a configuration: the only place where both are known."""

import copy
import os
import time
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Aggregator, Pipeline, PreAggregator
from byzshield.arrays import Float32
from byzshield.attacks import ATTACKS, Attack, Selection
from byzshield.coding import CyclicCode, Decoder
from byzshield.config import RunConfig
from byzshield.config.schema import LAST_STEP
from byzshield.data import DATASETS, Dataset, FileSampler, Sampler, ShardSampler, TrainingData, as_training_data, moved, partition
from byzshield.distortion import WorstCase, most_byzantine, most_undetected, worst_case
from byzshield.errors import ConfigError, ParameterError, TooFewRowsError, explain
from byzshield.limits import available_memory
from byzshield.log import get_logger
from byzshield.models import MODELS, FlatModel, changing_buffers, seeded
from byzshield.models.layers import layer_bytes
from byzshield.objectives import Objective
from byzshield.placement import Assignment, baseline, build, cyclic, permuted
from byzshield.registry import look_in
from byzshield.runtime.components import MISFITS, make, one_line
from byzshield.runtime.devices import choose_device
from byzshield.runtime.memory import require_memory
from byzshield.runtime.objectives import build_objective
from byzshield.runtime.objects import Objects
from byzshield.runtime.optimizers import build_optimizer
from byzshield.runtime.schedules import build_scheduler
from byzshield.runtime.weights import load_weights
from byzshield.seeding import generator, torch_seed
from byzshield.storage import cache_directory
from byzshield.training import Adversary, GradientComputer, ParameterServer, TrainingState, Worker
from byzshield.training.audit import Audit, Convictions
from byzshield.training.decoding import Decoding
from byzshield.training.evaluation import evaluate
from byzshield.training.momentum import ShardMomentum
from byzshield.voting import Detection
from byzshield.wire import SERVER_RANK, ArrayEncoder, ChunkLayout

__all__ = ["Builder"]

LOG = get_logger(__name__)
SEARCH_SECONDS = 60.0
MIB = 1 << 20
WORTH_A_WARNING = 1e-3  # of a combination, by which unseen lies can move a sum


@dataclass(frozen=True)
class Builder:
    """Builds the parts of a run, each once.

    Args:
        config: the resolved run file.
        num_ranks: processes, of which rank 0 is the server; 2 puts all workers into one other process.
        witness: the worst-case workers, where the server has worked them out already.
        objects: what a Python program has given in place of names.
        local_rank: which of the processes on this host this one is, from 0.
    """

    config: RunConfig
    num_ranks: int = 2
    witness: tuple[int, ...] = ()
    objects: Objects = field(default_factory=Objects)
    local_rank: int = 0

    def __post_init__(self) -> None:
        look_in(self.config.run.module_dir or "")

    def with_witness(self, workers: tuple[int, ...]) -> "Builder":
        """The same where the server has said who the worst-case workers are; the model and the data built so far serve on."""
        other = copy.copy(self)  # not `replace`, which would begin with nothing built
        vars(other)["witness"] = workers
        for name in ("selection", "ranks_of_accomplices"):
            vars(other).pop(name, None)
        return other

    @cached_property
    def device(self) -> str:
        """Where this process's models compute."""
        return self._chosen("cluster.device", self.config.cluster.device)

    def _chosen(self, key: str, name: str) -> str:
        return choose_device(key, name, local_rank=self.local_rank, num_devices=torch.cuda.device_count())

    @cached_property
    def assignment(self) -> Assignment:
        """Who computes which file."""
        section = self.config.placement
        assignment = self._assignment() if self.objects.assignment is None else self.objects.assignment
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
        if self.config.audit.arbitrate:
            assignment = assignment.arbitrated()
        elif assignment.replication % 2 == 0:
            raise ConfigError(
                f"placement.replication: must be odd, or a vote can tie, unless audit.arbitrate = true settles it; got r = "
                f"{assignment.replication}"
            )
        return permuted(assignment, seed=self.config.run.seed) if section.permute else assignment

    def _assignment(self) -> Assignment:
        section = self.config.placement
        try:
            return build(
                section.scheme,
                num_workers=self.config.cluster.num_workers,
                load=section.load,
                replication=section.replication,
                m=section.m,
                path=section.path,
            )
        except MISFITS as error:
            raise ConfigError(f"placement: {one_line(error)}") from error

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
        """Files that may be wrong after the vote, at most; with momenta, those that may ever have been wrong."""
        most, section = self.worst_case.upper_bound, self.config.attack
        momentum = self.config.aggregation.momentum > 0
        if momentum:
            self._require_lasting_files(most)
        if self.detection is None:
            return most
        if section.selection == "random" and section.redraw_every % self.config.vote.window:
            # More than q workers are Byzantine within a window, so honest ones may be discarded.
            return min(self.assignment.num_files, section.num_byzantine * self.assignment.load)
        undetected = most_undetected(
            self.assignment,
            num_byzantine=section.num_byzantine,
            bound=self.detection.bound,
            without_detection=most,
        )
        # Whoever lies about other files in each window can win, one after the other, all those that the plain vote would lose.
        return max(most, undetected) if momentum else undetected

    def _require_lasting_files(self, most: int) -> None:
        """Refuses momenta where other files are wrong at each step: an error lasts in a momentum, so all would be wrong."""
        section = self.config.attack
        drawn = section.selection == "random" and section.redraw_every > 0
        if section.num_byzantine and (drawn or self.config.placement.permute):
            change = "attack.redraw_every" if drawn else "placement.permute"
            raise ConfigError(
                f"aggregation.momentum: with {change}, other files are wrong from step to step, and a momentum keeps what was "
                f"wrong, so that no rule bears it; leave it out or, to see it fail, use --set aggregation.num_corrupted={most}"
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
        if self.objects.attack is not None:
            return copy.deepcopy(self.objects.attack)
        section = self.config.attack
        attack: Attack = make(ATTACKS, section.name, "attack.name", section.options, known=section.known_keys())
        return attack

    @cached_property
    def data(self) -> TrainingData:
        """The samples."""
        data = self._data() if self.objects.data is None else self.objects.data
        if self.config.data.augment and not isinstance(data, Dataset):
            raise ConfigError(
                "data.augment: crops and flips the images of byzshield's own data sets; let your own augment its samples "
                "when they are fetched: what it draws from torch, numpy and random is the same for all copies of a file"
            )
        return data

    def _data(self) -> TrainingData:
        section = self.config.data
        root = Path(os.path.expanduser(section.root)) if section.root else cache_directory()
        data = make(DATASETS, section.name, "data.name", section.options, known=section.known_keys(), root=root, download=False)
        return as_training_data(data, f"data.name: what {section.name} makes")

    @cached_property
    def objective(self) -> Objective:
        """The loss and the metrics."""
        return build_objective(self.config) if self.objects.objective is None else self.objects.objective

    @cached_property
    def sampler(self) -> Sampler:
        """Which samples are in which file."""
        section, seed = self.config.data, self.config.run.seed
        num_samples, num_files = self.data.num_train, self.assignment.num_files
        if section.split == "none":
            return FileSampler(num_samples=num_samples, batch_size=section.batch_size, num_files=num_files, seed=seed)
        shards = partition(
            section.split,
            num_samples=num_samples,
            num_shards=num_files,
            labels=self.data.train_labels,
            rng=generator(seed, "partition"),
            gamma=section.gamma,
            alpha=section.alpha,
        )
        return ShardSampler(shards, batch_size=section.batch_size, seed=seed)

    @cached_property
    def steps(self) -> int:
        """The steps of the whole run; only where run.epochs is given do they depend on the data set."""
        run = self.config.run
        limits = [] if run.steps is None else [run.steps]
        if run.epochs is not None:
            limits.append(run.epochs * self.sampler.steps_per_epoch)
        if min(limits) > LAST_STEP:
            raise ConfigError(f"run.epochs: {run.epochs} epochs are {min(limits)} steps; a run has at most {LAST_STEP}")
        return min(limits)

    @cached_property
    def resolved(self) -> RunConfig:
        """The configuration with the number of steps in place of run.epochs, which others read without the data set."""
        return replace(self.config, run=replace(self.config.run, steps=self.steps, epochs=None))

    @cached_property
    def computer(self) -> GradientComputer:
        """What computes gradients, over a model of its own."""
        return GradientComputer(
            self.model(),
            self.data,
            self.sampler,
            self.objective.loss_of,
            seed=self.config.run.seed,
            augment=self.config.data.augment,
            device=self.device,
            precision=self.config.cluster.precision,
            clock=time.perf_counter,
        )

    def forget_computer(self) -> None:
        """Frees the model that computes gradients, and what it has computed; it is made anew for whoever asks."""
        vars(self).pop("computer", None)

    def model(self) -> FlatModel:
        """A new model with the run's initial parameters."""
        section = self.config.model
        # The purpose is part of the seed: another spelling would draw other parameters.
        with seeded(torch_seed(self.config.run.seed, "initialisation"), torch.device("cpu")):
            module = self._module() if self.objects.model is None else self.objects.model()
            if not isinstance(module, torch.nn.Module):
                raise ConfigError(f"model.name: {section.name} makes no torch.nn.Module")
            # A registered network that is trained by cross-entropy has checked the shape of the images itself.
            given = self.objects.model is not None or self.objects.objective is not None
            if given or ":" in section.name or self.config.loss.name != "cross_entropy":
                self._try_out(section.name, module)
        return FlatModel(module, device=self.device)

    def _module(self) -> Any:
        """The network that the configuration names."""
        section, data = self.config.model, self.data
        given: dict[str, Any] = {"image_shape": data.image_shape, "num_classes": data.num_classes}
        missing = [key for key, value in given.items() if value is None]
        if missing := [key for key in missing if key in MODELS.signature(section.name)]:
            raise ConfigError(
                f"model.name: {section.name} needs {' and '.join(missing)}, which data.name = {self.config.data.name!r} does not "
                'tell; name a network of your own, "my_module:MyNet"'
            )
        return make(MODELS, section.name, "model.name", section.options, known=section.known_keys(), **given)

    @cached_property
    def activation_bytes(self) -> int:
        """About what lies between the layers of the model in the gradient of one file, if that is computed on a CPU."""
        if self.device != "cpu":
            return 0
        model, few = self.computer.module, min(2, self.data.num_test)
        training = model.training
        with torch.no_grad():
            _, passed = layer_bytes(model, partial(self.objective.loss_of, model.eval(), self.data.test_batch(0, few)))
        model.train(training)
        return sum(passed) * self.config.data.batch_size // (self.assignment.num_files * few)

    def _try_out(self, name: str, module: torch.nn.Module) -> None:
        """Refuses a network, data and a loss that do not fit together, in one line and before anybody waits for anybody."""
        image_shape, num_classes = self.data.image_shape, self.data.num_classes
        if self.objects.objective is None and self.config.loss.name == "cross_entropy" and image_shape and num_classes:
            _require_logits(name, module, image_shape, num_classes)
        try:
            self.objective.check(module.eval(), self.data.test_batch(0, min(2, self.data.num_test)))
        except ParameterError as error:
            raise ConfigError(f"model.name: {name}: {error}") from error
        module.train()

    def _check_buffers(self, module: torch.nn.Module) -> None:
        """Refuses a network of one's own with which honest workers would disagree, and warns of what the server does not get."""
        name, seed = self.config.model.name, self.config.run.seed
        if self.objects.model is None and ":" not in name:
            return
        try:
            rows = self.sampler.rows(1, 0)[:2]
            batch = moved(self.data.train_batch(rows, seed=seed, step=1, file=0, augment=self.config.data.augment), self.device)
            changing, matter = changing_buffers(
                module, lambda trained: self.objective.loss_of(trained, batch), seed=torch_seed(seed, "buffers")
            )
        except Exception as error:  # whatever the user's code raises
            raise ConfigError(f"model.name: {name}: a pass in training mode fails: {explain(error)}") from error
        if matter:
            raise ConfigError(
                f"model.name: {name}: training changes the buffer {changing[0]}, and the loss depends on it: each process has "
                "another one, and honest workers would vote for different gradients; compute it from the batch alone, make it a "
                "parameter, or use BatchNorm, whose running statistics are shared"
            )
        if changing:
            LOG.warning(
                "model.name: %s: training changes the buffer %s in the workers, and only BatchNorm's running statistics travel: "
                "tests and checkpoints have its initial value",
                name,
                " and ".join(changing),
            )

    def pipeline(self) -> Pipeline:
        """The pre-aggregators and the robust rule, refused if they do not tolerate the placement's worst case."""
        section = self.config.aggregation
        num_corrupted = self.most_corrupted if section.num_corrupted == "auto" else section.num_corrupted
        shared: dict[str, Any] = {"num_corrupted": num_corrupted, "defaults": {"seed": self.config.run.seed}}
        pre = self.pre_aggregators(num_corrupted)
        rule = copy.deepcopy(self.objects.rule)  # it may remember what it saw in another run
        if rule is not None and not rule.was_told:
            rule = rule.against(num_corrupted)
        elif rule is None:
            rule = make(AGGREGATORS, section.rule, "aggregation.rule", section.options, known=section.known_keys(), **shared)
        try:
            pipeline = Pipeline(rule, pre, device=self._chosen("aggregation.device", section.device))
            pipeline.check_rows(self.assignment.num_files)
        except TooFewRowsError as error:
            raise ConfigError(f"aggregation: {error}; {self._what_fits(rule, pre)}") from error
        except ParameterError as error:
            raise ConfigError(f"aggregation: {error}") from error
        return pipeline

    @cached_property
    def window(self) -> int | None:
        """Chunks of all winners that the server holds at a time; None for the whole winners."""
        section, cluster = self.config.aggregation, self.config.cluster
        chunk = 4 * cluster.chunk_elements * self.assignment.num_files
        whole = 4 * self.computer.size * self.assignment.num_files
        free = available_memory()
        if section.winners_mib != "auto":
            room = least = section.winners_mib * MIB
        elif free is not None:
            least, room = free // 2, free // 8
        else:
            return None
        if whole <= least:
            return None
        works = cluster.exchange == "digest" and not section.momentum and self.pipeline().works_by_columns
        if not works and section.winners_mib != "auto":
            raise ConfigError(
                f"aggregation.winners_mib: the winners take {whole // MIB} MiB and can be combined in parts only in the digest "
                "exchange, by a coordinate-wise rule without aggregation.pre and aggregation.momentum, on a CPU; use "
                f"winners_mib = {-(-whole // MIB)} or more"
            )
        return max(1, room // chunk) if works else None

    def _momentum(self, num_parameters: int) -> ShardMomentum | None:
        """The momenta of the files' shards; None without."""
        section = self.config.aggregation
        if not section.momentum:
            return None
        if self.config.data.split == "none":
            raise ConfigError(
                'aggregation.momentum: is that of a shard, so files must be bound to shards; use data.split = "iid"'
            )
        return ShardMomentum(
            num_files=self.assignment.num_files,
            num_parameters=num_parameters,
            beta=section.momentum,
            form=section.momentum_form,
        )

    def pre_aggregators(self, num_corrupted: int) -> list[PreAggregator]:
        """What the rows go through before the rule."""
        if self.objects.pre is not None:
            return list(self.objects.pre)
        shared: dict[str, Any] = {"num_corrupted": num_corrupted, "defaults": {"seed": self.config.run.seed}}
        pre: list[PreAggregator] = []
        for index, entry in enumerate(self.config.aggregation.pre):
            key, options = f"aggregation.pre[{index}].name", {"name": entry} if isinstance(entry, str) else dict(entry)
            if not isinstance(options.get("name"), str):
                raise ConfigError(f"{key}: is required in each table")
            pre.append(make(PRE_AGGREGATORS, options.pop("name"), key, options, known={"name"}, **shared))
        return pre

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
        if aggregation.momentum:
            raise ConfigError(
                'cluster.exchange: "coded" recovers no file alone, so none has a momentum; leave out aggregation.momentum'
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
        require_memory(self, SERVER_RANK)
        server = ParameterServer(
            state=self.training_state(model),
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
        self._check_buffers(model.module)
        return server

    def training_state(self, model: FlatModel) -> TrainingState:
        """What moves the parameters of `model`, from before the first step."""
        section, optimizer = self.config.optimizer, build_optimizer(self.config, model)
        return TrainingState(
            model=model,
            optimizer=optimizer,
            scheduler=build_scheduler(self.config, optimizer, updates=self.steps // section.accumulate),
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
        if section.seed is not None:
            LOG.warning("audit.seed makes audits predictable: whoever knows it lies where nobody looks; for experiments alone")
        return Audit(
            computer=self._recompute,
            arbitrate=section.arbitrate,
            rate=0.0 if section.rate == "idle" else section.rate,
            idle=section.rate == "idle",
            by=section.by,
            expel=section.expel == "proof",
            seed=section.seed,
        )

    def _recompute(self, parameters: Float32, step: int, file: int) -> Float32:
        self.computer.load(parameters)
        return self.computer(step, file)

    def vote_on(self, parameters: Float32, step: int, file: int) -> bytes:
        """The digests with which an honest worker votes on a file, computed at these parameters, float32 [p]."""
        vector = self._recompute(parameters, step, file)
        return self._sent(vector.size).digests(vector)

    def _warn_of_small_shards(self) -> None:
        if isinstance(self.sampler, ShardSampler):
            smallest = min(map(len, self.sampler.shards))
            if smallest < self.sampler.file_size:
                LOG.warning(
                    "the smallest shard has %d samples, and each step takes %d of it: some are taken more than once",
                    smallest,
                    self.sampler.file_size,
                )

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
        """Whether copies that nobody needs if nobody fails wait for a request.

        Not where all votes count; nor where each worker has one file, since those who wait could then not be told from the
        silent, and fewer than half of all workers could keep the others without a measure of who is late.
        """
        return self.config.cluster.exchange == "digest" and self.detection is None and self.assignment.load > 1

    def _sent(self, size: int) -> ChunkLayout:
        """The chunks of what a worker sends of `size` values: those themselves, or twice as many of twice the bytes."""
        elements = self.config.cluster.chunk_elements
        return ChunkLayout(size, elements) if self.code is None else ChunkLayout(2 * size, -(-elements // 2))

    def evaluate(self, model: FlatModel) -> dict[str, float]:
        """What a model makes of the test samples: the loss and each metric."""
        return evaluate(
            model.module,
            self.data,
            self.objective,
            batch_size=self.config.evaluation.batch_size,
            device=self.device,
        )

    def set_threads(self) -> None:
        """Fixes what the bits of a gradient depend on besides its inputs."""
        torch.set_num_threads(self.config.cluster.num_threads)
        if {self.device, self.config.aggregation.device} != {"cpu"}:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False


def _require_logits(name: str, module: torch.nn.Module, image_shape: tuple[int, int, int], num_classes: int) -> None:
    """Refuses a user's network that does not map images of this shape to one logit a class."""
    images = torch.zeros(2, *image_shape)
    try:
        with torch.no_grad():
            logits = module.eval()(images)
    except MISFITS as error:
        raise ConfigError(f"model.name: {name} fails on images of shape {list(images.shape)}: {one_line(error)}") from error
    expected = [2, num_classes]
    found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if found != expected:
        raise ConfigError(f"model.name: {name} must map images of shape {list(images.shape)} to {expected}; got {found}")
    module.train()
