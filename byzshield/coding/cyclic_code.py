"""DRACO's cyclic code: which complex combination of its files a worker sends, so that the sum of all files survives s liars."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from byzshield.arrays import Complex128, Float32
from byzshield.errors import ParameterError

__all__ = ["CyclicCode"]


class CyclicCode:
    """The code of K workers that hold files w, w + 1, ..., w + 2 s around a circle and of which s may send anything.

    The combinations of all workers, one a row, are R = W G for the K gradients G. Seen along the circle, each column of R is a
    sum of the K - 2 s lowest frequencies of the discrete Fourier transform: the other 2 s, the syndrome, are zero unless somebody
    lied. One frequency carries the sum of all gradients. Column j of W is the polynomial of degree K - 2 s - 1 in the roots of
    unity that vanishes at the K - 2 s - 1 workers that do not hold file j.

    In the paper the lowest frequency carries the sum. That makes the other coefficients large, 10^6 for K = 45 and s = 5, and the
    sum what is left of them when they cancel. Here the middle frequency of the same band does: W then has no entry over 20 up to
    K = 45, and everything else is as published.

    Reference: Chen, Wang, Charles and Papailiopoulos, "DRACO: Byzantine-resilient Distributed Training via Redundant Gradients",
    ICML 2018, section 4.2 (cyclic code).

    Args:
        num_workers: K.
        num_errors: s, 2 s + 1 <= K.

    Raises:
        ParameterError: s is out of range.
    """

    def __init__(self, *, num_workers: int, num_errors: int) -> None:
        if not 0 <= num_errors <= (num_workers - 1) // 2:
            raise ParameterError(
                f"a cyclic code needs 2 s + 1 workers or more to withstand s; got {num_workers} workers and s = {num_errors}"
            )
        self.num_workers = num_workers
        self.num_errors = num_errors
        self.carrier = (num_workers - 2 * num_errors - 1) // 2

    @cached_property
    def fourier(self) -> Complex128:
        """The unitary Fourier matrix, [K, K]."""
        turns = np.outer(np.arange(self.num_workers), np.arange(self.num_workers)) % self.num_workers
        matrix: Complex128 = np.exp(-2j * np.pi * turns / self.num_workers) / np.sqrt(self.num_workers)
        return matrix

    @cached_property
    def basis(self) -> Complex128:
        """What honest workers send is in the span of these columns, [K, K - 2 s]."""
        return self.fourier[:, : self.num_workers - 2 * self.num_errors]

    @cached_property
    def checks(self) -> Complex128:
        """The columns that are orthogonal to all that honest workers send, [K, 2 s]."""
        return self.fourier[:, self.num_workers - 2 * self.num_errors :]

    @cached_property
    def matrix(self) -> Complex128:
        """W, [K, K]: row w has the coefficients of worker w, zero for files that it does not hold."""
        size, held = self.num_workers, 2 * self.num_errors + 1
        roots = np.exp(-2j * np.pi * np.arange(size) / size)
        matrix = np.zeros((size, size), dtype=np.complex128)
        for file in range(size):
            holders = (file - np.arange(held)) % size
            others = (file + 1 + np.arange(size - held)) % size
            values = np.prod(1 - roots[holders, None] / roots[others], axis=1)
            # The coefficient of the carrier, from the values themselves: they are zero at all other workers.
            carried = np.vdot(self.fourier[holders, self.carrier], values) / np.sqrt(size)
            matrix[holders, file] = values / carried
        return matrix

    def encode(self, worker: int, gradients: Sequence[Float32]) -> Complex128:
        """What `worker` sends, complex128 [d].

        Args:
            worker: from 0.
            gradients: float32 [d] for each of its files, in ascending order of the files.
        """
        files = sorted((worker + step) % self.num_workers for step in range(2 * self.num_errors + 1))
        combined = np.zeros(len(gradients[0]), dtype=np.complex128)
        for file, gradient in zip(files, gradients, strict=True):
            coefficient = self.matrix[worker, file]
            combined.real += coefficient.real * gradient.astype(np.float64)
            combined.imag += coefficient.imag * gradient.astype(np.float64)
        return combined

    def weights(self, workers: Sequence[int]) -> Complex128:
        """The smallest weights v with sum of v_i R_i = the sum of all gradients, over the rows of `workers`, at least K - 2 s."""
        wanted = np.zeros(self.basis.shape[1], dtype=np.complex128)
        wanted[self.carrier] = 1 / np.sqrt(self.num_workers)
        return np.asarray(np.linalg.lstsq(self.basis[list(workers)].T, wanted, rcond=None)[0], dtype=np.complex128)
