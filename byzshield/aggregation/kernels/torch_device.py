"""The primitives for torch tensors, on whatever device they are: float64 sums over blocks of columns, no n x n x d array."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from byzshield.aggregation.kernels.columns import blocks
from byzshield.aggregation.kernels.scaling import squaring_factor
from byzshield.aggregation.matrix import NonFiniteFound
from byzshield.arrays import Float64

__all__ = ["combine", "gram", "mix", "norms", "squared_distances"]


def combine(
    rows: torch.Tensor, *, center: str, trim: int = 0, kept: int | None = None, index: Sequence[int] | None = None
) -> torch.Tensor:
    """The center of each column ("median" or "trimmed"), or the mean of the `kept` values nearest to it; [d]."""
    if index is not None:
        rows = rows[torch.as_tensor(list(index), device=rows.device)]

    def block(values: torch.Tensor) -> torch.Tensor:
        if not values.isfinite().all():
            raise NonFiniteFound
        ranked = values.sort(dim=0).values.double()
        n = len(ranked)
        if center == "median":
            low, high = ranked[(n - 1) // 2], ranked[n // 2]
            middle = torch.where((low + high).isfinite(), (low + high + 0.0) * 0.5, low * 0.5 + high * 0.5)
        else:
            middle = _mean(ranked[trim : n - trim])
        if kept is None:
            return middle
        dropped = n - kept
        lower_is_nearer = 0.5 * ranked[:dropped] + 0.5 * ranked[kept:] >= middle
        first = dropped - lower_is_nearer.sum(dim=0)
        ranks = torch.arange(kept, device=rows.device)[:, None] + first
        return _mean(ranked.gather(0, ranks))

    return _by_columns(rows, (rows.shape[1],), block)


def squared_distances(rows: torch.Tensor) -> Float64:
    """Squared distances of all pairs, [n, n], up to a power of two; direct differences."""
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    factor = _factor(rows)
    for values in _blocks(rows):
        values = values * factor
        for row in range(len(rows)):
            total[row] += (values - values[row]).square().sum(dim=1)
    return _to_numpy(total)


def gram(rows: torch.Tensor, center: torch.Tensor) -> Float64:
    """Inner products of the rows less `center`, [n, n], up to a power of two."""
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    factor = _factor(rows, center)
    for values, origin in zip(_blocks(rows), _blocks(center[None]), strict=True):
        values = values * factor - origin * factor
        total += values @ values.T
    return _to_numpy(total)


def norms(rows: torch.Tensor, center: torch.Tensor) -> Float64:
    """Euclidean distance of each row from `center`, [n]."""
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    factor = _factor(rows, center)
    for values, origin in zip(_blocks(rows), _blocks(center[None]), strict=True):
        total += (values * factor - origin * factor).square().sum(dim=1)
    with np.errstate(over="ignore"):  # a norm beyond the range of float64 counts as the end of the range
        return np.minimum(_to_numpy(total.sqrt()) / factor, np.finfo(np.float64).max)


def mix(rows: torch.Tensor, weights: Float64, divisors: Float64, *, in_place: bool = False) -> torch.Tensor:
    """weights [m, n] times rows [n, d], each line over its divisor; [m, d], always beside the rows."""
    amounts = torch.from_numpy(np.ascontiguousarray(weights / divisors[:, None])).to(rows.device)
    return _by_columns(rows, (len(weights), rows.shape[1]), lambda values: amounts @ values.double())


def _mean(values: torch.Tensor) -> torch.Tensor:
    total = values.sum(dim=0) / len(values)
    return torch.where(total.isfinite(), total, (values / len(values)).sum(dim=0))


def _by_columns(rows: torch.Tensor, shape: tuple[int, ...], block: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    out = torch.empty(shape, dtype=rows.dtype, device=rows.device)
    for columns in blocks(0, rows.shape[1]):
        out[..., columns] = block(rows[:, columns])
    return out


def _blocks(rows: torch.Tensor) -> Iterator[torch.Tensor]:
    return (rows[:, columns].double() for columns in blocks(0, rows.shape[1]))


def _factor(*arrays: torch.Tensor) -> float:
    if arrays[0].dtype != torch.float64 or arrays[0].numel() == 0:
        return 1.0
    return squaring_factor(max(float(values.abs().max()) for values in arrays))


def _to_numpy(values: torch.Tensor) -> Float64:
    array: Float64 = values.cpu().numpy()
    if not np.isfinite(array).all():
        raise NonFiniteFound
    return array
