"""Why gradients are not finite: what the server finds when it computes one of them itself, once the run has failed by them."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch

from byzshield.errors import ComputationError, DivergedError
from byzshield.runtime.builder import Builder
from byzshield.training import ParameterServer

__all__ = ["explained"]

MOST_NAMED: Final = 5  # samples


def explained(error: DivergedError, builder: Builder, server: ParameterServer) -> DivergedError:
    """The error with its cause, where this is code that raises, a sample that is not finite, or a loss that never was finite."""
    step = server.step + 1
    for file in error.files[: error.most_false + 1]:  # one of so many is not false
        cause: BaseException | None = None
        try:
            gradient = builder.gradient(server.state.model.parameter_vector(), step, file)
        except ComputationError as failure:
            found, cause = str(failure), failure
        else:
            if np.isfinite(gradient).all():
                continue  # it was false
            loss = f"the loss of file {file} is {gradient[-1]:.4g}"
            if samples := _samples_not_finite(builder, step, file):
                found = f"{loss}, and of its samples {samples} not finite"
            elif step == 1:
                found = f"{loss} with the initial weights, before any update"
            else:
                continue
        better = DivergedError(
            f"step {step} has failed: {len(error.files)} of {builder.assignment.num_files} files have a gradient that is not "
            f"finite; {found}; no worker is blamed for it, mend it and go on with --resume",
            files=error.files,
        )
        better.__cause__ = cause
        return better
    return error


def _samples_not_finite(builder: Builder, step: int, file: int) -> str:
    """Which samples of a file have a NaN or an infinity, as "7 and 9 are"; "" if none has."""
    rows = builder.sampler.rows(step, file)
    wrong: set[int] = set()
    for tensor in _tensors(builder.file_batch(step, file)):
        if tensor.is_floating_point() and tensor.ndim and len(tensor) == len(rows):
            finite = tensor.reshape(len(rows), -1).isfinite().all(dim=1)
            wrong.update(rows[~finite.numpy()].tolist())
    if not wrong:
        return ""
    named = [str(row) for row in sorted(wrong)[:MOST_NAMED]]
    return f"{', '.join(named)}{', ...' if len(wrong) > MOST_NAMED else ''} {'is' if len(wrong) == 1 else 'are'}"


def _tensors(batch: Any) -> Iterator[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, dict | tuple | list):
        for part in batch.values() if isinstance(batch, dict) else batch:
            yield from _tensors(part)
