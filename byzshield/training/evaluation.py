"""Test accuracy and loss."""

from typing import Final, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from byzshield.data import Dataset

__all__ = ["Evaluation", "evaluate"]

TOP: Final = 5


class Evaluation(NamedTuple):
    """What a network makes of the test set.

    Args:
        accuracy: share of the images whose label has the greatest logit.
        loss: mean cross-entropy.
        top5_accuracy: share of the images whose label is among the five with the greatest logits.
    """

    accuracy: float
    loss: float
    top5_accuracy: float


def evaluate(module: nn.Module, dataset: Dataset, *, batch_size: int = 500, device: str = "cpu") -> Evaluation:
    """Runs the test set through `module` in evaluation mode.

    Args:
        module: maps images to logits.
        dataset: whose test images are used.
        batch_size: images at a time.
        device: where the module is.
    """
    was_training = module.training
    module.eval()
    correct, among, loss, count = 0, 0, 0.0, len(dataset.test_labels)
    with torch.no_grad():
        for start in range(0, count, batch_size):
            images = dataset.normalize(dataset.test_images[start : start + batch_size]).to(device)
            labels = torch.tensor(dataset.test_labels[start : start + batch_size]).to(device)
            logits = module(images)
            correct += int((logits.argmax(dim=1) == labels).sum())
            top = logits.topk(min(TOP, logits.shape[1])).indices
            among += int((top == labels[:, None]).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    module.train(was_training)
    return Evaluation(accuracy=correct / count, loss=loss / count, top5_accuracy=among / count)
