"""The element types of the arrays that travel between packages."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Complex128", "Float32", "Float64"]

Float32 = NDArray[np.float32]
"""Parameters, gradients and rows, as they are computed and sent."""
Float64 = NDArray[np.float64]
"""Distances, inner products and weights of rows, as they are summed."""
Complex128 = NDArray[np.complex128]
"""Combinations of rows, and the coefficients of a code."""
