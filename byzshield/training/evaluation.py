"""What a network makes of the test samples."""

import torch
from torch import nn

from byzshield.data import TrainingData, moved
from byzshield.objectives import Objective

__all__ = ["evaluate"]


def evaluate(
    module: nn.Module, data: TrainingData, objective: Objective, *, batch_size: int = 500, device: str | torch.device = "cpu"
) -> dict[str, float]:
    """Runs the test samples through `module` in evaluation mode.

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
    totals: dict[str, float] = {}
    counts: dict[str, int] = {}
    with torch.no_grad():
        for start in range(0, data.num_test, batch_size):
            stop = min(start + batch_size, data.num_test)
            for name, value in objective.measure(module, moved(data.test_batch(start, stop), device)).items():
                count = value.numel() if value.ndim else stop - start
                total = float(value.double().sum()) if value.ndim else float(value) * count
                totals[name], counts[name] = totals.get(name, 0.0) + total, counts.get(name, 0) + count
    module.train(was_training)
    return {name: total / counts[name] for name, total in totals.items()}
