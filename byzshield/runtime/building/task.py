"""What is learned: the data and which of it is in which file, the model, the loss, and the gradients of these."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from byzshield.arrays import Float32
from byzshield.config import RunConfig
from byzshield.config.schema import LAST_STEP
from byzshield.data import DATASETS, Dataset, FileSampler, Sampler, ShardSampler, TrainingData, as_training_data, moved, partition
from byzshield.errors import ConfigError, ParameterError, explain
from byzshield.log import get_logger
from byzshield.models import MODELS, FlatModel, changing_buffers, seeded, trained_parameters
from byzshield.models.layers import layer_bytes
from byzshield.objectives import Objective
from byzshield.runtime.building.places import Places
from byzshield.runtime.components import MISFITS, make, one_line, prepare
from byzshield.runtime.objectives import build_objective
from byzshield.seeding import generator, torch_seed
from byzshield.storage import cache_directory
from byzshield.training import GradientComputer
from byzshield.training.gradient import Poison

__all__ = ["Task"]

LOG = get_logger(__name__)


@dataclass(frozen=True)
class Task(Places):
    """The part of a `Builder` that computes gradients."""

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

    def check(self) -> None:
        """Refuses what is impossible and can be told without samples and a network: names, keywords and their types.

        Raises:
            ConfigError: there is no such data set, network, loss or metric, or it does not take such keywords.
        """
        if self.objects.data is None:
            self._data_maker()
        if self.objects.model is None:
            section = self.config.model
            # As if the data told whatever the run file does not.
            given: dict[str, Any] = {key: None if key in section.options else () for key in ("image_shape", "num_classes")}
            prepare(MODELS, section.name, "model.name", section.options, known=section.known_keys(), **given)
        self.objective  # noqa: B018 - is refused where it is made

    def _data(self) -> TrainingData:
        return as_training_data(self._data_maker()(), f"data.name: what {self.config.data.name} makes")

    def _data_maker(self) -> Callable[[], Any]:
        section = self.config.data
        root = Path(os.path.expanduser(section.root)) if section.root else cache_directory()
        if ":" in section.name and not section.root:
            with suppress(ConfigError):  # which is raised again below
                own = DATASETS.signature(section.name).get("root")
                if own is not None and own.default is not own.empty:
                    root = own.default  # which is meant, and not our folder
        return prepare(
            DATASETS, section.name, "data.name", section.options, known=section.known_keys(), root=root, download=False
        )

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

    @cached_property
    def poison(self) -> Poison | None:
        """What the attack makes of samples before gradients are taken of them; None if nothing."""
        attack, data = self.attack, self.data
        if not attack.poisons:
            return None
        change = partial(attack.poison, num_classes=data.num_classes)
        try:
            change(data.test_batch(0, min(2, data.num_test)))
        except ParameterError as error:
            raise ConfigError(f"attack.name: {self.config.attack.name} {error}") from error
        except Exception as error:  # whatever the user's code raises, and what torch says of labels that it cannot change
            raise ConfigError(f"attack.name: {self.config.attack.name} cannot change a batch: {explain(error)}") from error
        return change

    def forget_computer(self) -> None:
        """Frees the model that computes gradients, and what it has computed; it is made anew for whoever asks."""
        vars(self).pop("computer", None)

    def gradient(self, parameters: Float32, step: int, file: int) -> Float32:
        """The gradient vector of a file at these parameters, float32 [p]; raises ComputationError."""
        self.computer.load(parameters)
        return self.computer(step, file)

    def file_batch(self, step: int, file: int) -> Any:
        """The samples of a file as the network gets them, on the CPU."""
        run, augment = self.config.run, self.config.data.augment
        return self.data.train_batch(self.sampler.rows(step, file), seed=run.seed, step=step, file=file, augment=augment)

    def model(self) -> FlatModel:
        """A new model with the run's initial parameters."""
        section = self.config.model
        # The purpose is part of the seed: another spelling would draw other parameters.
        with seeded(torch_seed(self.config.run.seed, "initialisation"), torch.device("cpu")):
            module = self._module() if self.objects.model is None else self._given_module(self.objects.model)
            if not isinstance(module, torch.nn.Module):
                raise ConfigError(f"model.name: {section.name} makes no torch.nn.Module")
            try:
                trained_parameters(module)
            except ParameterError as error:
                raise ConfigError(f"model.name: {section.name}: {error}") from error
            # A registered network that is trained by cross-entropy has checked the shape of the images itself.
            given = self.objects.model is not None or self.objects.objective is not None
            if given or ":" in section.name or self.config.loss.name != "cross_entropy":
                self._try_out(section.name, module)
        return FlatModel(module, device=self.device)

    def _given_module(self, make_module: Callable[[], Any]) -> Any:
        """The network that a Python program gives."""
        name = self.config.model.name
        try:
            return make_module()
        except Exception as error:  # whatever the user's code raises
            raise ConfigError(f"model.name: {name} cannot be called without arguments: {explain(error)}") from error

    def _module(self) -> Any:
        """The network that the configuration names."""
        section, data = self.config.model, self.data
        given: dict[str, Any] = {"image_shape": data.image_shape, "num_classes": data.num_classes}
        options, untold = dict(section.options), [key for key, value in given.items() if value is None]
        signature = MODELS.signature(section.name) if untold else {}
        given |= {key: options.pop(key) for key in untold if key in options}
        own = ":" in section.name  # whose defaults are meant; ours are those of MNIST
        required = [
            key for key in untold if key in signature and not (own and signature[key].default is not signature[key].empty)
        ]
        if missing := [key for key in required if given[key] is None]:
            raise ConfigError(
                f"model.name: {section.name} needs {' and '.join(missing)}, which data.name = {self.config.data.name!r} does not "
                f"tell; set {' and '.join(f'model.{key}' for key in missing)}, or name another network"
            )
        return make(MODELS, section.name, "model.name", options, known=section.known_keys(), **given)

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
        """Refuses data and networks of one's own with which honest workers would disagree, and warns of what stays with them."""
        name, seed = self.config.model.name, self.config.run.seed
        if self.objects.model is None and self.objects.data is None and ":" not in name + self.config.data.name:
            return
        rows = self.sampler.rows(1, 0)[:2]

        def loss_of(trained: torch.nn.Module) -> torch.Tensor:
            batch = self.data.train_batch(rows, seed=seed, step=1, file=0, augment=self.config.data.augment)
            return self.objective.loss_of(trained, moved(batch, self.device))

        try:
            changing, differ = changing_buffers(module, loss_of, seed=torch_seed(seed, "buffers"))
        except Exception as error:  # whatever the user's code raises
            raise ConfigError(f"model.name: {name}: a pass in training mode fails: {explain(error)}") from error
        if differ and not changing:
            raise ConfigError(
                f"data.name, model.name, loss.name: samples {rows.tolist()} have another loss when they are fetched and passed "
                "again, and honest workers would vote for different gradients; let data, network and loss remember nothing, and "
                "draw what is random from the global generators of torch, numpy or random, which are seeded for each sample"
            )
        if differ:
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

    def _warn_of_small_shards(self) -> None:
        if isinstance(self.sampler, ShardSampler):
            smallest = min(map(len, self.sampler.shards))
            if smallest < self.sampler.file_size:
                LOG.warning(
                    "the smallest shard has %d samples, and each step takes %d of it: some are taken more than once",
                    smallest,
                    self.sampler.file_size,
                )


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
