"""Which samples are in which file of which step: the same in every process."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import ConfigError
from byzshield.seeding import generator

__all__ = ["FileSampler", "crop_and_flip"]


class FileSampler:
    """Cuts each epoch's random permutation into batches, and each batch into files of equal size.

    An epoch has floor(n / b) steps; the few samples left over rest until the next permutation.

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
        self._num_samples = num_samples
        self._batch_size = batch_size
        self._num_files = num_files
        self._seed = seed
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> NDArray[np.int64]:
        """The samples of each file in `step` (from 1), shape [f, b / f]."""
        steps_per_epoch = self._num_samples // self._batch_size
        epoch, within = divmod(step - 1, steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = generator(self._seed, "sampling", epoch).permutation(self._num_samples)
        start = within * self._batch_size
        return self._order[start : start + self._batch_size].reshape(self._num_files, -1)


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
