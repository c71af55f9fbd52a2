"""A language model of bytes, and a text that Python itself ships: the topics of its help()."""

from pydoc_data.topics import topics

import numpy as np
import torch
from torch import nn

from byzshield.data import ArrayDataset


def help_texts(context: int = 32, test_share: float = 0.1) -> ArrayDataset:
    """Windows of the text: each sample is `context` bytes, its target the bytes that follow each of them."""
    text = np.frombuffer("\n".join(topics[name] for name in sorted(topics)).encode(), dtype=np.uint8)
    starts = np.arange(0, len(text) - context, context)
    inputs, targets = (text[starts[:, None] + np.arange(context) + shift] for shift in (0, 1))
    cut = round(len(starts) * (1 - test_share))
    return ArrayDataset(train=(inputs[:cut], targets[:cut]), test=(inputs[cut:], targets[cut:]), location="in Python itself")


class ByteModel(nn.Module):
    """Logits of the next byte at each place: bytes [b, t] -> [b, t, 256]."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.output = nn.Linear(width, 256)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        return self.output(self.memory(self.embedding(text))[0])


def bits_per_byte(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy to the base of 2, at each place."""
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten(), reduction="none") / np.log(2)
