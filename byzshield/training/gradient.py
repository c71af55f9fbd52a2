"""The gradient of one file: what a worker computes."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from byzshield.arrays import Float32
from byzshield.data import Dataset, FileSampler, crop_and_flip
from byzshield.models import FlatModel, seeded
from byzshield.seeding import generator, torch_seed

__all__ = ["GradientComputer"]


class GradientComputer:
    """Computes gradients of the mean cross-entropy over a file's samples.

    For one step and file the result is the same bytes in every process with the same software, hardware kind and thread
    count: samples, augmentation and dropout all come from (seed, step, file).

    Args:
        model: the network that computes; its parameters are overwritten by `load`.
        dataset: where the samples come from.
        sampler: which samples are in which file.
        seed: the run's seed.
        augment: whether to crop and flip at random.
        device: where the model computes.
        clock: the time in seconds, for `seconds` alone.
    """

    def __init__(
        self,
        model: FlatModel,
        dataset: Dataset,
        sampler: FileSampler,
        *,
        seed: int,
        augment: bool,
        device: str,
        clock: Callable[[], float],
    ) -> None:
        self.seconds = 0.0  # spent on all gradients so far
        self._model = model
        self._dataset = dataset
        self._sampler = sampler
        self._seed = seed
        self._augment = augment
        self._device = torch.device(device)
        self._clock = clock

    @property
    def num_parameters(self) -> int:
        """p, the length of a parameter vector."""
        return self._model.num_parameters

    @property
    def size(self) -> int:
        """d, the length of a gradient vector."""
        return self._model.size

    def load(self, parameters: Float32) -> None:
        """Sets the parameters, float32 [p]."""
        self._model.load_parameters(parameters)

    def __call__(self, step: int, file: int) -> Float32:
        """The gradient vector of `file` in `step`, float32 [d]."""
        began = self._clock()
        gradient = self._gradient(step, file)
        self.seconds += self._clock() - began
        return gradient

    def _gradient(self, step: int, file: int) -> Float32:
        rows = self._sampler.indices(step)[file]
        images = self._dataset.train_images[rows]
        if self._augment:
            stream = generator(self._seed, "augmentation", step, file)
            images = crop_and_flip(images, stream, mode=self._dataset.padding_mode)
        inputs = self._dataset.normalize(images).to(self._device)
        labels = torch.from_numpy(self._dataset.train_labels[rows]).to(self._device)

        def loss_of(module: nn.Module) -> torch.Tensor:
            return functional.cross_entropy(module(inputs), labels)

        with seeded(torch_seed(self._seed, "forward", step, file), self._device):
            return self._model.gradient(loss_of)
