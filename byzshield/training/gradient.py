"""The gradient of one file: what a worker computes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from byzshield.arrays import Float32
from byzshield.choices import Precision
from byzshield.data import Sampler, TrainingData, moved
from byzshield.errors import ComputationError, explain
from byzshield.log import get_logger
from byzshield.models import FlatModel, seeded
from byzshield.seeding import torch_seed

__all__ = ["GradientComputer", "Poison", "not_computed"]

LOG = get_logger(__name__)
Poison = Callable[[Any], Any]  # a batch to a changed one


class GradientComputer:
    """Computes gradients of the loss over a file's samples.

    For one step and file the result is the same bytes in every process with the same software, hardware kind and thread
    count: samples, augmentation and dropout all come from (seed, step, file).

    Args:
        model: the network that computes; its parameters are overwritten by `load`.
        data: where the samples come from.
        sampler: which samples are in which file.
        loss_of: maps the module and a batch to a scalar, the mean over the batch.
        seed: the run's seed.
        augment: whether the data set is asked for its augmentation.
        device: where the model computes.
        precision: of the forward pass; with "bfloat16", torch.autocast chooses the operations that lose nothing by it.
        clock: the time in seconds, for `seconds` alone.
    """

    def __init__(
        self,
        model: FlatModel,
        data: TrainingData,
        sampler: Sampler,
        loss_of: Callable[[nn.Module, Any], torch.Tensor],
        *,
        seed: int,
        augment: bool,
        device: str,
        precision: Precision = "float32",
        clock: Callable[[], float],
    ) -> None:
        self.seconds = 0.0  # spent on all gradients so far
        self._failures = 0
        self._model = model
        self._data = data
        self._sampler = sampler
        self._loss_of = loss_of
        self._seed = seed
        self._augment = augment
        self._device = torch.device(device)
        self._precision = precision
        self._clock = clock

    @property
    def module(self) -> nn.Module:
        """The network that computes."""
        return self._model.module

    @property
    def num_parameters(self) -> int:
        """p, the length of a parameter vector."""
        return self._model.num_parameters

    @property
    def size(self) -> int:
        """d, the length of a gradient vector."""
        return self._model.size

    def parameters(self) -> Float32:
        """A copy of the parameters, float32 [p]."""
        return self._model.parameter_vector()

    def load(self, parameters: Float32) -> None:
        """Sets the parameters, float32 [p]."""
        self._model.load_parameters(parameters)

    def load_by(self, write: Callable[[Float32], None]) -> None:
        """Sets the parameters to what `write` puts into an array, float32 [p], without a copy of its own on a CPU."""
        self._model.write_parameters(write)

    def __call__(self, step: int, file: int, poison: Poison | None = None) -> Float32:
        """The gradient vector of `file` in `step`, float32 [d].

        Args:
            step: the training step.
            file: the file.
            poison: changes its samples before.

        Raises:
            ComputationError: data, network or loss raise something.
        """
        began = self._clock()
        try:
            return self._gradient(step, file, poison)
        except Exception as error:  # whatever the user's code raises, and what a device says that is out of memory
            raise ComputationError(f"file {file} of step {step} cannot be computed: {explain(error)}") from error
        finally:
            self.seconds += self._clock() - began

    def or_nan(self, step: int, file: int, poison: Poison | None = None) -> Float32:
        """The gradient vector, or NaNs where it cannot be computed: what an honest worker votes for.

        If all holders fail, they agree on that; if one does, by its own disk or memory, it is outvoted, and the job goes on.
        """
        try:
            return self(step, file, poison)
        except ComputationError as error:
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # the first, second, fourth, ...: a broken disk must not fill the log
                LOG.warning("%s; it is voted on as not a number", error)
            return not_computed(self.size)

    def _gradient(self, step: int, file: int, poison: Poison | None) -> Float32:
        rows = self._sampler.rows(step, file)
        batch = self._data.train_batch(rows, seed=self._seed, step=step, file=file, augment=self._augment)
        batch = moved(batch if poison is None else poison(batch), self._device)

        def loss_of(module: nn.Module) -> torch.Tensor:
            with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._precision == "bfloat16"):
                return self._loss_of(module, batch)

        with seeded(torch_seed(self._seed, "forward", step, file), self._device):
            return self._model.gradient(loss_of)


def not_computed(size: int) -> Float32:
    """What stands for the gradient vector of a file that cannot be computed, the same bytes for everybody, float32 [d]."""
    return np.full(size, np.nan, dtype=np.float32)
