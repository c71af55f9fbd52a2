"""The contract of losses and metrics, and how they are applied to a network and a batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from byzshield.errors import ParameterError, explain
from byzshield.registry import Registry

__all__ = ["LOSSES", "METRICS", "Objective"]

# Each entry is called as loss(output, target, **own keywords) -> the mean over the batch, a scalar; a class is made with its own
# keywords first, and then called.
LOSSES: Registry[Callable[..., Any]] = Registry("loss", "byzshield.objectives", given=["output", "target"])
# Each entry is called as metric(output, target) -> one value a sample, or a scalar, their mean.
METRICS: Registry[Callable[..., Any]] = Registry("metric", "byzshield.objectives", given=["output", "target"])


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss that training minimizes, and what else a test reports.

    Args:
        loss: maps (output, target) to a scalar; or, with `takes_model`, (module, batch), for what is no function of one output.
        metrics: by name, the same two arguments to a scalar or to one value a sample.
        takes_model: whether loss and metrics are given the module and the batch.
    """

    loss: Callable[..., Any]
    metrics: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    takes_model: bool = False

    def loss_of(self, module: nn.Module, batch: Any) -> torch.Tensor:
        """The loss of a batch, a scalar tensor that can be differentiated."""
        loss: torch.Tensor = self.loss(*self._arguments(module, batch))
        return loss

    def measure(self, module: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        """All metrics and the loss of a batch, by name."""
        arguments = self._arguments(module, batch)
        return {name: torch.as_tensor(value(*arguments)) for name, value in {**self.metrics, "loss": self.loss}.items()}

    def check(self, module: nn.Module, batch: Any) -> None:
        """Refuses a network, a batch and a loss that do not fit together, before training begins.

        Raises:
            ParameterError: the loss fails, or is no finite scalar that depends on the parameters, or a metric fails.
        """
        try:
            loss = self.loss_of(module, batch)
            scalar = isinstance(loss, torch.Tensor) and loss.ndim == 0 and loss.is_floating_point()
        except Exception as error:  # whatever the user's code raises
            raise ParameterError(f"network, data and loss do not fit together: {explain(error)}") from error
        if not scalar or not loss.requires_grad:
            found = f"a tensor of shape {list(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            wrong = "a scalar without a gradient" if scalar else found
            raise ParameterError(f"a loss must be a scalar that depends on the parameters, the mean over its batch; got {wrong}")
        try:
            with torch.no_grad():
                self.measure(module, batch)
        except Exception as error:  # whatever the user's code raises
            raise ParameterError(f"a metric does not fit network and data: {explain(error)}") from error

    def _arguments(self, module: nn.Module, batch: Any) -> tuple[Any, Any]:
        if self.takes_model:
            return module, batch
        inputs, target = batch
        return module(inputs), target
