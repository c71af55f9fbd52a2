"""Which samples are in which file of which step: the same in every process."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import ConfigError
from byzshield.seeding import generator

__all__ = ["FileSampler", "Sampler", "ShardSampler", "crop_and_flip"]


class Sampler(ABC):
    """Says which samples are in which file of which step.

    Args:
        num_samples: n, training samples.
        batch_size: b, samples a step over all files; a multiple of num_files.
        num_files: f.
        seed: the run's seed.

    Raises:
        ConfigError: f does not divide b, or b is more than n.
    """

    def __init__(self, *, num_samples: int, batch_size: int, num_files: int, seed: int) -> None:
        if batch_size < 1 or batch_size % num_files:
            nearest = max(num_files, round(batch_size / num_files) * num_files)
            raise ConfigError(
                f"data.batch_size must be a multiple of the {num_files} files; got {batch_size}: use {nearest}, for instance"
            )
        if batch_size > num_samples:
            raise ConfigError(f"data.batch_size must not exceed the {num_samples} training samples; got {batch_size}")
        self.num_files = num_files
        self.file_size = batch_size // num_files
        self.steps_per_epoch = num_samples // batch_size  # passes over shards of unequal sizes take this on average
        self._seed = seed

    @abstractmethod
    def rows(self, step: int, file: int) -> NDArray[np.int64]:
        """The samples of `file` in `step` (from 1), shape [b / f]."""

    def indices(self, step: int) -> NDArray[np.int64]:
        """The samples of all files in `step`, shape [f, b / f]."""
        return np.stack([self.rows(step, file) for file in range(self.num_files)])


class FileSampler(Sampler):
    """Cuts each epoch's random permutation into batches, and each batch into files of equal size.

    An epoch has floor(n / b) steps; the few samples left over rest until the next permutation. It takes what a `Sampler` takes.
    """

    def __init__(self, *, num_samples: int, batch_size: int, num_files: int, seed: int) -> None:
        super().__init__(num_samples=num_samples, batch_size=batch_size, num_files=num_files, seed=seed)
        self._num_samples = num_samples
        self._batch_size = batch_size
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def rows(self, step: int, file: int) -> NDArray[np.int64]:
        epoch, within = divmod(step - 1, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = generator(self._seed, "sampling", epoch).permutation(self._num_samples)
        start = within * self._batch_size + file * self.file_size
        return self._order[start : start + self.file_size]


class ShardSampler(Sampler):
    """Binds each file to a shard of its own, of which every step takes the next b / f samples.

    Each pass over a shard has a random order of its own, and no sample rests: a step may take the end of one pass and the
    beginning of the next. So of a shard with fewer than b / f samples it takes some more than once.

    Args:
        shards: the samples of each file, none of them empty.
        batch_size: b, samples a step over all files; a multiple of their number f.
        seed: the run's seed.

    Raises:
        ConfigError: f does not divide b, or b is more than all samples.
    """

    def __init__(self, shards: Sequence[NDArray[np.int64]], *, batch_size: int, seed: int) -> None:
        super().__init__(num_samples=sum(map(len, shards)), batch_size=batch_size, num_files=len(shards), seed=seed)
        self.shards = tuple(shards)
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # of the last pass over each shard that was asked for

    def rows(self, step: int, file: int) -> NDArray[np.int64]:
        position, parts, missing = (step - 1) * self.file_size, [], self.file_size
        while missing:
            taken, within = divmod(position, len(self.shards[file]))
            parts.append(self._order(file, taken)[within : within + missing])
            position += len(parts[-1])
            missing -= len(parts[-1])
        return np.concatenate(parts)

    def _order(self, file: int, taken: int) -> NDArray[np.int64]:
        """The shard of `file` in the order of the pass that follows `taken` others."""
        if self._orders.get(file, (-1,))[0] != taken:
            self._orders[file] = taken, generator(self._seed, "shard", file, taken).permutation(self.shards[file])
        return self._orders[file][1]


def crop_and_flip(
    images: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    padding: int = 4,
    mode: Literal["reflect", "constant"] = "reflect",
) -> NDArray[np.uint8]:
    """Pads, crops at random to the old size, and flips half of the images from left to right.

    Args:
        images: [b, channels, height, width].
        rng: the stream of this step and file, so that all copies of a file see the same images.
        padding: pixels on each side.
        mode: what the padding shows: "reflect" the image, "constant" zeros.

    Returns:
        a new array of the same shape.
    """
    count, _, height, width = map(int, images.shape)
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=mode)
    tops = rng.integers(0, 2 * padding + 1, count)
    lefts = rng.integers(0, 2 * padding + 1, count)
    flips = rng.random(count)
    out = np.empty_like(images)
    for row in range(count):
        top, left = int(tops[row]), int(lefts[row])
        crop = padded[row, :, top : top + height, left : left + width]
        out[row] = crop[:, :, ::-1] if flips[row] < 0.5 else crop
    return out
