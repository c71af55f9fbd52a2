"""Weights that the published DRACO, DETOX and ByzShield code stored: those of the same networks, under other names."""

from collections.abc import Mapping

import torch
from torch import nn

from byzshield.errors import ParameterError
from byzshield.models.densenet import DenseNet

__all__ = ["adopt"]

Weights = Mapping[str, torch.Tensor]
COUNTER = "num_batches_tracked"  # of BatchNorm; torch before 0.4.1 has none, and nothing here depends on it


def adopt(module: nn.Module, weights: Weights) -> None:
    """Loads a bare state_dict into a network: entry by entry under its own names, or in its order if all names are other ones.

    The published networks register the same layers in the same order, so order and shapes tell which entry is which. Their
    DenseNets put a layer's new maps before the old ones, ours behind them; the channels are rearranged, so that the network
    computes the same.

    Args:
        module: changed in place.
        weights: parameters and BatchNorm statistics.

    Raises:
        ParameterError: it is the state of another network; `module` is as it was.
    """
    own = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(COUNTER)}
    given = {name: tensor for name, tensor in weights.items() if not name.endswith(COUNTER)}
    if len(given) != len(own):
        raise ParameterError(f"{len(given)} tensors do not fit {type(module).__name__}, which has {len(own)}")
    foreign = given.keys() != own.keys()
    if foreign and isinstance(module, DenseNet) and not any(name.startswith("dense1.") for name in given):
        raise ParameterError(f"the names are neither those of {type(module).__name__} nor those of the published DenseNets")
    names = zip(own, given, strict=True) if foreign else ((name, name) for name in own)
    renamed = {}
    for name, theirs in names:
        tensor = given[theirs]
        if tensor.shape != own[name].shape:
            raise ParameterError(
                f"{theirs!r} has shape {list(tensor.shape)}, and {name!r} of {type(module).__name__} has {list(own[name].shape)}"
            )
        renamed[name] = tensor
    if foreign and isinstance(module, DenseNet):
        _rearrange(module, renamed)
    module.load_state_dict(renamed, strict=False)  # the counters are left out


def _rearrange(network: DenseNet, weights: dict[str, torch.Tensor]) -> None:
    """Brings what reads the maps of a dense block from the published order, newest first, into ours, oldest first."""
    oldest, newer = 2 * network.growth, 0  # channels of the block's input, and layers behind it
    for name, stage in network.stages.named_children():
        blocks = {f"stages.{name}.{index}": layer for index, layer in enumerate(stage.children())}
        if isinstance(next(iter(blocks.values())), nn.BatchNorm2d):  # a transition, whose convolution mixes all maps
            norm, _, convolution, _ = blocks
            _permute(weights, norm, convolution, oldest, newer, network.growth)
            oldest, newer = weights[f"{convolution}.weight"].shape[0], 0
            continue
        for newer, layer in enumerate(blocks):
            _permute(weights, f"{layer}.norm1", f"{layer}.conv1", oldest, newer, network.growth)
        newer = len(blocks)
    _permute(weights, "norm", "output", oldest, newer, network.growth)


def _permute(weights: dict[str, torch.Tensor], norm: str, reader: str, oldest: int, newer: int, growth: int) -> None:
    """Permutes the channels of a BatchNorm layer, and the inputs of the layer that reads its output."""
    maps = torch.arange(oldest + newer * growth)
    latest_first = maps[: newer * growth].view(newer, growth).flip(0).reshape(-1)
    order = torch.cat([maps[newer * growth :], latest_first])
    for part in ("weight", "bias", "running_mean", "running_var"):
        weights[f"{norm}.{part}"] = weights[f"{norm}.{part}"][order]
    weights[f"{reader}.weight"] = weights[f"{reader}.weight"][:, order]
