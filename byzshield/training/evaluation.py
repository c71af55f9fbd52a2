"""What a network makes of the test samples."""

import sys
from typing import Any, Final

import torch
from torch import nn

from byzshield.data import TrainingData, moved
from byzshield.models.layers import layer_bytes
from byzshield.objectives import Objective

__all__ = ["InParts", "evaluate"]

BETWEEN_LAYERS: Final = 16 << 20  # bytes that a pass may take on a CPU
TIMES_A_LAYER: Final = 4  # so much more than the values into and out of its widest layer, as measured for LeNet and ResNet-18
FEWEST: Final = 8  # samples at a time
TRIED: Final = 2  # samples that tell how wide the layers are


def evaluate(
    module: nn.Module, data: TrainingData, objective: Objective, *, batch_size: int = 500, device: str | torch.device = "cpu"
) -> dict[str, float]:
    """Runs the test samples through `module` in evaluation mode.

    On a CPU the network sees a part of a batch after the other, so that the memory depends on its layers and not on the batch; a
    loss or a metric sees the output of the whole batch, which may differ in the last bits from what one pass would give.

    Args:
        module: the network.
        data: whose test samples are used.
        objective: what is measured.
        batch_size: samples at a time.
        device: where the module is.

    Returns:
        each metric and the loss by name: means over all samples, or over all values if there are several a sample.
    """
    was_training = module.training
    module.eval()
    in_parts = None if objective.takes_model or torch.device(device).type != "cpu" else InParts(module)
    totals: dict[str, float] = {}
    counts: dict[str, int] = {}
    with torch.no_grad():
        for start in range(0, data.num_test, batch_size):
            stop = min(start + batch_size, data.num_test)
            batch = moved(data.test_batch(start, stop), device)
            network = module if in_parts is None or not _is_by_samples(batch, stop - start) else in_parts
            for name, value in objective.measure(network, batch).items():
                count = value.numel() if value.ndim else stop - start
                total = float(value.double().sum()) if value.ndim else float(value) * count
                totals[name], counts[name] = totals.get(name, 0.0) + total, counts.get(name, 0) + count
    module.train(was_training)
    return {name: total / counts[name] for name, total in totals.items()}


def _is_by_samples(batch: Any, num_samples: int) -> bool:
    """Whether a batch is a pair of which the first is a tensor with a line for each sample."""
    inputs = batch[0] if isinstance(batch, tuple | list) and len(batch) == 2 else None
    return isinstance(inputs, torch.Tensor) and inputs.ndim > 0 and len(inputs) == num_samples


class InParts(nn.Module):
    """A network that is applied to some samples after the others; to all at once if its output has no line for each of them.

    Args:
        module: the network, in evaluation mode, so that no sample depends on the others.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = module
        self._most: int | None = None  # samples at a time, once it is known

    def forward(self, inputs: torch.Tensor) -> Any:
        """What the network makes of the inputs [b, ...]."""
        if self._most is None and len(inputs) > FEWEST:
            self._most = self._most_at_a_time(inputs[:TRIED])
        if self._most is None or self._most >= len(inputs):
            return self._module(inputs)
        return torch.cat([self._module(part) for part in inputs.tensor_split(-(-len(inputs) // self._most))])

    def _most_at_a_time(self, inputs: torch.Tensor) -> int:
        """As many as a pass has memory for, by the widest layer."""
        output, passed = layer_bytes(self._module, lambda: self._module(inputs))
        if not isinstance(output, torch.Tensor) or output.ndim == 0 or len(output) != len(inputs):
            return sys.maxsize
        return max(FEWEST, BETWEEN_LAYERS * len(inputs) // max(1, TIMES_A_LAYER * max(passed, default=0)))
