"""Training on cropped and flipped images."""

from collections.abc import Callable
from pathlib import Path

import torch

from byzshield.config import RunConfig
from byzshield.runtime import simulate

Weights = dict[str, torch.Tensor]


def test_augmented_images_train_other_weights_which_repeat_whoever_computes(
    tiny_run: Callable[..., RunConfig],
    weights_of: Callable[[Path], Weights],
    same_weights: Callable[[Weights, Weights], bool],
) -> None:
    def trained(*, augment: bool, num_ranks: int) -> Weights:
        config = tiny_run(data={"augment": augment}, attack={"name": "alie", "num_byzantine": 3})
        return weights_of(simulate(config, num_ranks=num_ranks)[0].path)

    augmented = trained(augment=True, num_ranks=2)
    assert not same_weights(augmented, trained(augment=False, num_ranks=2))
    assert same_weights(augmented, trained(augment=True, num_ranks=2))
    assert same_weights(augmented, trained(augment=True, num_ranks=16))
