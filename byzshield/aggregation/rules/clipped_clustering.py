"""Clipped clustering: rows are clipped to the median of all norms so far, and the larger of two clusters is averaged."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.clustering import average_linkage_halves
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix
from byzshield.errors import CheckpointError

__all__ = ["ClippedClustering"]


@AGGREGATORS.register("clipped_clustering")
class ClippedClustering(Aggregator):
    """Mean of the larger of two clusters of rows, clipped to the median of all norms so far.

    The clusters are those of agglomeration by cosine distance with average linkage. The norms of all rows that it has seen are
    remembered. A row of zeros has no direction; its cosine with any other is taken as 0.

    Reference: Li, Ngai, Voigt, "An Experimental Study of Byzantine-Robust Aggregation Schemes in Federated Learning", IEEE
    Transactions on Big Data 2023, section 4 (ClippedClustering).
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "1/2, empirical"
    cost = "O(n^2 d + n^3)"
    paper = "Li, Ngai, Voigt, IEEE TBD 2023, section 4"
    finds_non_finite = True

    def __init__(self, num_corrupted: int | None = None) -> None:
        super().__init__(num_corrupted)
        self._norms: list[float] = []  # shared with the copies that `against` makes

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        norms = primitives.norms(rows)
        self._norms.extend(norms.tolist())
        limit = float(np.median(self._norms))
        products = primitives.gram(rows, primitives.zeros_like_row(rows))
        lengths = np.sqrt(np.diag(products))
        both = lengths[:, None] * lengths
        cosines = np.divide(products, both, out=np.zeros_like(products), where=both > 0)
        members = average_linkage_halves(1 - cosines)
        weights = np.zeros(len(rows))
        weights[members] = np.where(norms[members] > limit, limit / np.maximum(norms[members], np.finfo(float).tiny), 1.0)
        return primitives.weighted_sum(rows, weights, len(members))

    def state_dict(self) -> dict[str, Any]:
        """The norms seen so far, `norms`, as a list of numbers; empty before the first call."""
        return {"norms": list(self._norms)} if self._norms else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if set(state) - {"norms"}:
            raise CheckpointError(f"ClippedClustering remembers norms, but the checkpoint holds {', '.join(sorted(state))}")
        self._norms[:] = state.get("norms", ())
