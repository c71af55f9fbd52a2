"""From the combinations that workers sent to the mean of all files: what takes the place of a rule where gradients are coded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from byzshield.aggregation import Aggregate
from byzshield.arrays import Complex128, Float32, Float64
from byzshield.coding import CyclicCode, Decoder
from byzshield.errors import TooFewRowsError
from byzshield.seeding import generator
from byzshield.wire import digest

__all__ = ["Decoding"]


class Decoding:
    """Locates wrong combinations, and recovers the mean of the files from the others.

    The random projection must not be known to whoever sends a row, or it could add what the projection does not see. So it is
    drawn from the digests of the rows themselves: the same bytes give the same projection, and another lie another one.

    Args:
        code: what the rows are made of.
        seed: the run's seed.
    """

    def __init__(self, code: CyclicCode, *, seed: int) -> None:
        self.code = code
        self._decoder = Decoder(code)
        self._seed = seed

    @property
    def num_corrupted(self) -> int:
        """s, how many combinations may be wrong."""
        return self.code.num_errors

    def check_rows(self, num_rows: int, *, numbers: Sequence[int] | None = None) -> None:
        """Raises TooFewRowsError if the mean cannot be recovered from `num_rows` combinations."""
        least = self.code.num_workers - 2 * self.code.num_errors
        if num_rows < least:
            raise TooFewRowsError(
                f"the cyclic code recovers the mean from {least} combinations or more of {self.code.num_workers}; got {num_rows}"
            )

    def __call__(self, gradients: Complex128, *, statistics: Complex128, numbers: Sequence[int], step: int) -> Aggregate:
        """Recovers the means of gradients and statistics over all files; they are skipped if nothing explains the rows.

        Args:
            gradients: [n, p], the combinations of gradients.
            statistics: [n, s], those of what travels behind a gradient.
            numbers: [n], the workers whose rows they are, ascending.
            step: the training step.
        """
        sizes, projected = self._project(gradients, statistics, step)
        finite = np.isfinite(sizes) & np.isfinite(projected)
        non_finite = tuple(np.flatnonzero(~finite).tolist())
        present = [worker for worker, good in zip(numbers, finite, strict=True) if good]
        try:
            self.check_rows(len(present))
        except TooFewRowsError as error:
            return Aggregate(vector=None, non_finite=non_finite, reason=str(error))
        known = np.zeros(self.code.num_workers, dtype=np.complex128)
        known[present] = projected[finite]
        located = self._decoder.locate(known, present, size=float(np.median(sizes[finite])))
        if located is None:
            reason = f"more than {self.code.num_errors} of the {self.code.num_workers} workers sent wrong combinations"
            return Aggregate(vector=None, non_finite=non_finite, reason=reason)
        rejected = tuple(row for row, worker in enumerate(numbers) if worker in located)
        rows = [row for row in np.flatnonzero(finite).tolist() if row not in rejected]
        weights = self.code.weights([numbers[row] for row in rows]) / self.code.num_workers
        return Aggregate(
            vector=_combined(weights, gradients, rows),
            statistics=_combined(weights, statistics, rows),
            non_finite=non_finite,
            rejected=rejected,
        )

    def state_dict(self) -> dict[str, Any]:
        """Nothing: no step depends on another."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""

    def _project(self, gradients: Complex128, statistics: Complex128, step: int) -> tuple[Float64, Complex128]:
        """The size of each row, and its product with a random vector that depends on all of them."""
        said = [digest(row.view(np.float64)) for part in (gradients, statistics) for row in part]
        rng = generator(self._seed, "projection", step, *(int.from_bytes(each, "little") for each in said))
        sizes = np.zeros(len(gradients))
        projected = np.zeros(len(gradients), dtype=np.complex128)
        with np.errstate(over="ignore", invalid="ignore"):  # hostile rows
            for part in (gradients, statistics):
                direction = rng.standard_normal(part.shape[1])
                for row, values in enumerate(part):
                    sizes[row] = np.hypot(sizes[row], np.linalg.norm(values))
                    projected[row] += complex(values.real @ direction, values.imag @ direction)
        return sizes, projected


def _combined(weights: Complex128, part: Complex128, rows: Sequence[int]) -> Float32:
    """The real part of the weighted sum of `rows`, added in their order, so that the result does not depend on a thread count."""
    total = np.zeros(part.shape[1])
    for weight, row in zip(weights.tolist(), rows, strict=True):
        total += weight.real * part[row].real
        total -= weight.imag * part[row].imag
    return total.astype(np.float32)
