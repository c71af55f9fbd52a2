"""The momentum of each file's shard, held by the parameter server: what a rule sees in place of gradients."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch

from byzshield.aggregation.kernels.columns import BLOCK, blocks, over_columns
from byzshield.arrays import Float32
from byzshield.choices import MomentumForm, require_choice
from byzshield.errors import ParameterError

__all__ = ["ShardMomentum"]


class ShardMomentum:
    """From the gradient g of a file's winner to the momentum m of its shard, which is 0 at first.

    In the papers each worker holds the momentum of its own data and sends that. Here a file has data of its own, several workers
    compute it, and who of them is asked changes; so the server holds the momenta, and workers remember nothing.

    A file without a winner keeps its momentum and takes no part in the step: what it holds is of older parameters, and that of a
    file that is never decided again would push in the same direction for ever. A row that is not finite, or becomes so, is
    dropped by the `Pipeline` as any other, and its momentum stays, too. Nothing changes before `keep`: a skipped step leaves no
    trace.

    Reference: Karimireddy, He, Jaggi, "Learning from History for Byzantine Robust Optimization", ICML 2021, algorithm 2
    ("ema", also ByzFL's); the authors' code has "sum".

    Args:
        num_files: f.
        num_parameters: p; the f p values of float32 are held as long as this object is.
        beta: 0 < beta < 1.
        form: "ema" (m = beta m + (1 - beta) g) or "sum" (m = beta m + g, which is 1 / (1 - beta) times as long).

    Raises:
        ParameterError: beta is out of range, or the form is another.
    """

    def __init__(self, *, num_files: int, num_parameters: int, beta: float, form: MomentumForm = "ema") -> None:
        require_choice("form", form, MomentumForm)
        if not 0 < beta < 1:
            raise ParameterError(f"beta must be between 0 and 1; got {beta}")
        self._beta = beta
        self._share = 1 - beta if form == "ema" else 1.0
        self._momenta: Float32 = np.zeros((num_files, num_parameters), dtype=np.float32)
        self._files: Sequence[int] = ()
        self._blended: Float32 = self._momenta[:0]

    def blend(self, gradients: Float32, files: Sequence[int]) -> None:
        """Turns the gradients of some files, [n, p], into their momenta, in place."""

        def columns(first: int, last: int) -> None:
            with np.errstate(over="ignore", invalid="ignore"):  # hostile rows
                for block in blocks(first, last):
                    for row, file in zip(gradients, files, strict=True):
                        row[block] *= self._share
                        row[block] += self._beta * self._momenta[file, block]

        over_columns(columns, num_rows=len(files), num_columns=gradients.shape[1], unit=BLOCK)
        self._files, self._blended = files, gradients

    def keep(self, *, dropped: Collection[int]) -> None:
        """Stores what `blend` has made, which must not have changed since, except for the rows `dropped`."""
        for row, file in enumerate(self._files):
            if row not in dropped:
                self._momenta[file] = self._blended[row]

    def state_dict(self) -> dict[str, Any]:
        """The momenta, [f, p], for a checkpoint."""
        return {"momenta": torch.from_numpy(self._momenta)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is of another number of files or parameters.
        """
        momenta = state["momenta"].numpy()
        if momenta.shape != self._momenta.shape:
            raise ValueError(f"momenta must be {list(self._momenta.shape)}; got {list(momenta.shape)}")
        np.copyto(self._momenta, momenta)
