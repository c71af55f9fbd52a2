"""Weights of the published code, under its names, in our networks."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.nn import functional

from byzshield.errors import ParameterError
from byzshield.models import FC, LeNetByzShield
from byzshield.models.densenet import DenseNet
from byzshield.models.published import adopt
from byzshield.models.resnet import ResNet18, ResNet50
from byzshield.models.vgg import VGG11BN


class Narrow(DenseNet):
    """A DenseNet of a few channels."""

    growth, depths = 4, (3, 2, 1, 2)


def normalized(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    for tensor in (layer.weight, layer.bias, layer.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(layer.running_var, 0.5, 2)
    return layer


class NewestFirst(nn.Module):
    """A dense layer that puts its new maps before the old ones."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = normalized(channels), nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.bn2, self.conv2 = normalized(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.conv1(functional.relu(self.bn1(maps)))
        return torch.cat([self.conv2(functional.relu(self.bn2(inner))), maps], dim=1)


class Transition(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn, self.conv = normalized(channels), nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(self.conv(functional.relu(self.bn(maps))), 2)


class NewestFirstNet(nn.Module):
    """The published DenseNet's order of channels, and its names."""

    def __init__(self, depths: Sequence[int], growth: int) -> None:
        super().__init__()
        channels = 2 * growth
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        for number, depth in enumerate(depths, start=1):
            layers = [NewestFirst(channels + index * growth, growth) for index in range(depth)]
            self.add_module(f"dense{number}", nn.Sequential(*layers))
            channels += depth * growth
            if number < len(depths):
                self.add_module(f"trans{number}", Transition(channels))
                channels //= 2
        self.bn, self.linear = normalized(channels), nn.Linear(channels, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = images
        for name, stage in self.named_children():
            if name not in ("bn", "linear"):
                maps = stage(maps)
        logits: torch.Tensor = self.linear(functional.relu(self.bn(maps)).mean(dim=(2, 3)))
        return logits


def renamed(module: nn.Module) -> dict[str, torch.Tensor]:
    """Other weights of the same network, under other names and without the counters, as old versions of torch store them."""
    state = {name: torch.rand_like(tensor) for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    return {f"other{number}.{name}": tensor for number, (name, tensor) in enumerate(state.items())}


@pytest.mark.parametrize("network", [LeNetByzShield, FC, ResNet18, VGG11BN])
def test_weights_under_other_names_go_where_their_order_says(network: type[nn.Module]) -> None:
    module = network()
    weights = renamed(module)
    adopt(module, weights)
    own = [tensor for name, tensor in module.state_dict().items() if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(own, weights.values(), strict=True))


def test_the_published_densenet_computes_the_same_here() -> None:
    theirs, ours = NewestFirstNet(Narrow.depths, Narrow.growth).eval(), Narrow().eval()
    adopt(ours, theirs.state_dict())
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_our_own_densenet_is_taken_as_it_is() -> None:
    first, second = Narrow(), Narrow()
    adopt(second, first.state_dict())
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize(
    ("module", "weights", "message"),
    [
        (LeNetByzShield(), renamed(FC()), "6 tensors do not fit LeNetByzShield, which has 8"),
        (
            LeNetByzShield(num_classes=100),
            renamed(LeNetByzShield()),
            r"has shape \[10, 500\], and 'output.weight' of LeNet.* \[100, 500\]",
        ),
        (Narrow(), renamed(Narrow()), "the names are neither those of Narrow nor those of the published DenseNets"),
        (LeNetByzShield(), {}, "0 tensors do not fit"),
    ],
)
def test_the_weights_of_another_network_are_refused_and_change_nothing(
    module: nn.Module, weights: dict[str, torch.Tensor], message: str
) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ParameterError, match=message):
        adopt(module, weights)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_resnet50s_bottlenecks_have_the_published_order_of_layers() -> None:
    kinds = [name.rsplit(".", 2)[-2] for name in ResNet50().blocks[0].state_dict() if name.endswith("weight")]
    assert kinds == ["conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "0", "1"]
