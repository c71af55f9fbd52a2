"""Test accuracy and loss."""

import torch
from torch import nn
from torch.nn import functional

from byzshield.data import Dataset

__all__ = ["evaluate"]


def evaluate(module: nn.Module, dataset: Dataset, *, batch_size: int = 500, device: str = "cpu") -> tuple[float, float]:
    """Runs the test set through `module` in evaluation mode.

    Args:
        module: maps images to logits.
        dataset: whose test images are used.
        batch_size: images at a time.
        device: where the module is.

    Returns:
        (accuracy between 0 and 1, mean cross-entropy).
    """
    was_training = module.training
    module.eval()
    correct, loss, count = 0, 0.0, len(dataset.test_labels)
    with torch.no_grad():
        for start in range(0, count, batch_size):
            images = dataset.normalize(dataset.test_images[start : start + batch_size]).to(device)
            labels = torch.tensor(dataset.test_labels[start : start + batch_size]).to(device)
            logits = module(images)
            correct += int((logits.argmax(dim=1) == labels).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    module.train(was_training)
    return correct / count, loss / count
