"""What the last step did to the parameters, as every worker sees it by those that it gets."""

import numpy as np

from byzshield.arrays import Float64
from byzshield.attacks.attack import Situation

__all__ = ["last_update", "length_of"]


def last_update(situation: Situation, size: int) -> Float64 | None:
    """The parameters before the last step that moved them, less those after it; the memory notes what it takes to know the next.

    With plain SGD that is the learning rate times the aggregate.

    Args:
        situation: with the parameters and the memory.
        size: the length of what is forged. Behind the p parameters, where gradients have statistics, the update is 0.

    Returns:
        float64 [size]; None in the first step, or outside of a run that gives the parameters.
    """
    now, memory = situation.parameters, situation.memory
    if now is None:
        return None
    before = memory.get("parameters")
    if before is None or not np.array_equal(now, before):  # a step that was skipped moves nothing
        if before is not None:
            memory["update"] = before.astype(np.float64) - now
        memory["parameters"] = now
    if "update" not in memory:
        return None
    return np.pad(memory["update"], (0, size - now.size))


def length_of(vector: Float64) -> float:
    """The Euclidean norm of a vector [d], the same bits for every number of threads."""
    return float(np.sqrt(np.einsum("d,d->", vector, vector)))  # not by BLAS, which adds in another order with other threads
