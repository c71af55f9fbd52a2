"""Finds the workers whose combinations are wrong, from one random projection of all of them."""

from collections.abc import Iterator, Sequence

import numpy as np

from byzshield.arrays import Complex128
from byzshield.coding.cyclic_code import CyclicCode

__all__ = ["Decoder"]

# Honest rows agree with the code up to the rounding of float64, 1e-15 of a row or so; a lie below this share of one is not seen.
TOLERANCE = 2.0**-40


class Decoder:
    """Locates up to s wrong rows of the K that honest workers would send.

    Each hypothesis about how many rows are wrong gives a set, from the roots of the error locator polynomial; it is accepted if
    all other rows agree with the code. With m rows missing and t wrong ones, any accepted set gives the same sum as the true one
    if 2 t + m <= 2 s, so a wrong set can only be accepted where it does no harm but that of rounding.

    A row of an enormous size drowns what the others say in its rounding errors, so hypotheses also take out the largest rows
    before they look for roots.

    Reference: Chen et al., "DRACO", ICML 2018, section 4.2 (the decoder that locates adversaries from a random projection). Here
    the projection is checked, and missing rows are erasures, which cost half of an error.

    Args:
        code: what the rows are made of.
    """

    def __init__(self, code: CyclicCode) -> None:
        self.code = code

    @property
    def unseen_harm(self) -> float:
        """By how many times the size of a row lies too small to be seen may move the sum: liars side by side, the worst ones."""
        rows = range(2 * self.code.num_errors, self.code.num_workers)
        return float(TOLERANCE * np.linalg.norm(self.code.weights(rows)))

    def locate(self, projected: Complex128, present: Sequence[int], *, size: float) -> tuple[int, ...] | None:
        """The workers whose rows are wrong, ascending; None if no set that the code can correct explains the rows.

        Args:
            projected: [K], the product of each row with the same random vector; anything for missing rows.
            present: the workers whose rows are there, ascending.
            size: what the rows' projections are like, for the tolerance.
        """
        missing = [worker for worker in range(self.code.num_workers) if worker not in set(present)]
        most = (2 * self.code.num_errors - len(missing)) // 2
        for wrong in self._hypotheses(projected, present, missing, most):
            if self._agrees(projected, present, wrong, size):
                honest = {worker for worker in wrong if self._agrees(projected, present, wrong - {worker}, size)}
                return tuple(sorted(wrong - honest if self._agrees(projected, present, wrong - honest, size) else wrong))
        return None

    def _hypotheses(
        self, projected: Complex128, present: Sequence[int], missing: list[int], most: int
    ) -> Iterator[frozenset[int]]:
        largest = sorted(present, key=lambda worker: -abs(projected[worker]))
        for num_taken in range(most + 1):
            taken = largest[:num_taken]
            erased = missing + taken
            syndrome = self._syndrome(projected, erased)
            for num_roots in range(min(most - num_taken, len(syndrome) // 2) + 1):
                yield frozenset(taken) | self._roots(syndrome, num_roots, erased)

    def _syndrome(self, projected: Complex128, erased: list[int]) -> Complex128:
        """The syndrome of the rows that are not erased, filtered so that erased ones have no part in it; [2 s - m]."""
        known = projected.copy()
        known[erased] = 0
        syndrome = self.code.checks.conj().T @ known
        for node in self._nodes[erased]:
            syndrome = syndrome[1:] - node * syndrome[:-1]
        return syndrome

    def _roots(self, syndrome: Complex128, count: int, erased: list[int]) -> frozenset[int]:
        """The workers whose nodes come nearest to the roots of the polynomial of degree `count` that annihilates the syndrome."""
        if not count:
            return frozenset()
        windows = np.lib.stride_tricks.sliding_window_view(syndrome, count + 1)
        coefficients = np.linalg.lstsq(windows[:, :-1], -windows[:, -1], rcond=None)[0]
        values = np.abs(np.polyval([1, *coefficients[::-1]], self._nodes))
        values[erased] = np.inf
        return frozenset(np.argsort(values, kind="stable")[:count].tolist())

    @property
    def _nodes(self) -> Complex128:
        """The syndrome of an error e of worker i is e x_i^k, up to a factor; these are the x_i, [K]."""
        size = self.code.num_workers
        return np.asarray(np.exp(2j * np.pi * np.arange(size) / size), dtype=np.complex128)

    def _agrees(self, projected: Complex128, present: Sequence[int], wrong: frozenset[int] | set[int], size: float) -> bool:
        """Whether the rows that are present and not wrong are combinations of the code, up to rounding."""
        rows = [worker for worker in present if worker not in wrong]
        basis = self.code.basis[rows]
        coefficients = np.linalg.lstsq(basis, projected[rows], rcond=None)[0]
        return bool(np.abs(basis @ coefficients - projected[rows]).max() <= TOLERANCE * size)
