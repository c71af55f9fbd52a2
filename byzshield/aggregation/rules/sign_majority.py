"""The majority of signs."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix
from byzshield.aggregation.matrix import FLOATS

__all__ = ["SignMajority"]


@AGGREGATORS.register("sign_majority")
class SignMajority(Aggregator):
    """Sign (-1, 0 or 1) of the sum of the signs of each coordinate; rows may be int8. For signSGD with majority vote.

    The result does not depend on the size of any value.

    Reference: Bernstein et al., "signSGD with Majority Vote is Communication Efficient and Fault Tolerant", ICLR 2019,
    algorithm 1.

    >>> import numpy as np
    >>> SignMajority(num_corrupted=1)(np.array([[-3.0, 1.0], [2.0, 5.0], [-9.0, -1.0]])).tolist()
    [-1.0, 1.0]
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n d)"
    paper = "Bernstein et al., ICLR 2019, algorithm 1"
    coordinate_wise = True
    dtypes = (*FLOATS, "int8")

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        if isinstance(rows, np.ndarray):
            return primitives.column_blocks(rows, _majority)
        majority: Matrix = rows.sign().sum(dim=0).sign().to(rows.dtype)
        return majority


def _majority(rows: Matrix) -> Matrix:
    majority: Matrix = np.sign(np.sign(rows).sum(axis=0))
    return majority
