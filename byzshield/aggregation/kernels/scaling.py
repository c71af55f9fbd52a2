"""Which float64 values must be scaled before they are squared."""

import math

__all__ = ["squaring_factor"]

LARGEST_SQUARED = 2.0**400  # no sum of squares of such values overflows; of values above its inverse none vanishes


def squaring_factor(largest: float) -> float:
    """A power of two by which to multiply before squaring, so that squares neither overflow nor vanish.

    Args:
        largest: the largest magnitude among the values; the factor is 1 if it is 0 or not finite.
    """
    if largest == 0.0 or not math.isfinite(largest) or 1 / LARGEST_SQUARED < largest < LARGEST_SQUARED:
        return 1.0
    return math.ldexp(1.0, min(1000, -math.frexp(largest)[1]))
