"""The ResNets, VGGs and DenseNets against torchvision's blocks with the same weights, where they are the same function.

torchvision is imported where it is used: every process that collects this file would wait for it.
"""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from byzshield.errors import ParameterError
from byzshield.models import MODELS

BASIC, BOTTLENECK = "BasicBlock", "Bottleneck"


def resnet_of(block: str, depths: list[int]) -> nn.Module:
    """torchvision's, with the stem for small images."""
    from torchvision.models import resnet

    network = resnet.ResNet(getattr(resnet, block), depths, num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


def vgg_of(configuration: str, *, batch_norm: bool) -> nn.Module:
    """torchvision's convolutions, and one linear layer over their 512 single values."""
    from torchvision.models import vgg

    layers = vgg.make_layers(vgg.cfgs[configuration], batch_norm=batch_norm)
    return nn.Sequential(layers, nn.Flatten(), nn.Linear(512, 10))


def densenet_of(growth: int, depths: tuple[int, int, int, int]) -> nn.Module:
    """torchvision's, with the stem for small images."""
    from torchvision.models import densenet

    network = densenet.DenseNet(growth, depths, num_init_features=2 * growth, num_classes=10)
    network.features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        delattr(network.features, name)
    return network


THEIRS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: resnet_of(BASIC, [2, 2, 2, 2]),
    "resnet34": lambda: resnet_of(BASIC, [3, 4, 6, 3]),
    "resnet50": lambda: resnet_of(BOTTLENECK, [3, 4, 6, 3]),
    "resnet101": lambda: resnet_of(BOTTLENECK, [3, 4, 23, 3]),
    "resnet152": lambda: resnet_of(BOTTLENECK, [3, 8, 36, 3]),
    "vgg11": lambda: vgg_of("A", batch_norm=False),
    "vgg11_bn": lambda: vgg_of("A", batch_norm=True),
    "vgg13": lambda: vgg_of("B", batch_norm=False),
    "vgg13_bn": lambda: vgg_of("B", batch_norm=True),
    "vgg16": lambda: vgg_of("D", batch_norm=False),
    "vgg16_bn": lambda: vgg_of("D", batch_norm=True),
    "vgg19": lambda: vgg_of("E", batch_norm=False),
    "vgg19_bn": lambda: vgg_of("E", batch_norm=True),
    "densenet121": lambda: densenet_of(32, (6, 12, 24, 16)),
    "densenet161": lambda: densenet_of(48, (6, 12, 36, 24)),
    "densenet169": lambda: densenet_of(32, (6, 12, 32, 32)),
    "densenet201": lambda: densenet_of(32, (6, 12, 48, 32)),
}
COMPUTED = {"resnet18": 9, "resnet50": 9, "vgg11": 32, "vgg11_bn": 32, "densenet121": 16}  # with pixels a side


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Layers this small take longer with more, above all on a machine that has other things to do."""
    torch.set_num_threads(1)


def test_every_large_model_is_compared() -> None:
    assert THEIRS.keys() == set(MODELS.names()) - {"fc", "lenet", "lenet_byzshield", "mlp"}


@pytest.mark.parametrize("name", THEIRS)
def test_parameters_and_buffers_are_theirs_in_their_order(name: str) -> None:
    with torch.device("meta"):  # shapes without values
        ours, theirs = MODELS.get(name)(), THEIRS[name]()
    assert [value.shape for value in ours.state_dict().values()] == [value.shape for value in theirs.state_dict().values()]


@pytest.mark.parametrize(("name", "side"), COMPUTED.items())
def test_the_outputs_and_gradients_are_theirs(name: str, side: int) -> None:
    torch.manual_seed(0)
    ours, theirs = MODELS.get(name)(), THEIRS[name]()
    generator = torch.Generator().manual_seed(1)
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        if mine.dim() == 1 and mine.is_floating_point():  # those of BatchNorm and biases start from constants
            mine.copy_(torch.rand(mine.shape, generator=generator) + 0.5)
        other.copy_(mine)
    images = torch.randn(3, 3, side, side, generator=generator)
    for training in (False, True):
        mine, other = ours.train(training)(images), theirs.train(training)(images)
        assert mine.std() > 1e-3
        torch.testing.assert_close(mine, other)
    mine.square().sum().backward()
    other.square().sum().backward()
    first, last = (next(network.parameters()).grad for network in (ours, theirs))
    torch.testing.assert_close(first, last, rtol=1e-3, atol=1e-3 * float(first.abs().max()))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("vgg11", (1, 28, 28), "VGG11 needs images of at least 32 x 32; got 28 x 28: use a ResNet"),
        ("vgg19_bn", (3, 31, 64), "VGG19BN needs images of at least 32 x 32; got 31 x 64: use a ResNet"),
        ("densenet121", (3, 8, 7), "DenseNet121 needs images of at least 8 x 8; got 8 x 7: use a ResNet"),
    ],
)
def test_images_that_are_too_small_are_refused(name: str, shape: tuple[int, int, int], message: str) -> None:
    with torch.device("meta"), pytest.raises(ParameterError) as caught:
        MODELS.get(name)(image_shape=shape)
    assert str(caught.value) == message


@pytest.mark.parametrize(("name", "least"), [("vgg11", 32), ("densenet121", 8), ("resnet50", 1)])
def test_images_that_are_large_enough_are_taken(name: str, least: int) -> None:
    with torch.device("meta"):
        for height, width in ((least, least), (least, 2 * least + 1), (65, 70)):
            model = MODELS.get(name)(image_shape=(2, height, width), num_classes=7)
            assert model(torch.zeros(2, 2, height, width)).shape == (2, 7)


@pytest.mark.parametrize(("name", "largest"), [("resnet34", 8), ("densenet121", 15)])
def test_a_single_image_that_leaves_one_value_is_refused(name: str, largest: int) -> None:
    with torch.device("meta"):
        model = MODELS.get(name)()
        with pytest.raises(ParameterError, match=f"at least 2 samples a file for images up to {largest} x {largest}"):
            model(torch.zeros(1, 3, largest, largest))
        assert model(torch.zeros(2, 3, largest, largest)).shape == (2, 10)
        assert model(torch.zeros(1, 3, largest, largest + 1)).shape == (1, 10)
        assert model.eval()(torch.zeros(1, 3, largest, largest)).shape == (1, 10)


def test_the_outputs_of_a_deep_vgg_depend_on_the_image() -> None:
    torch.manual_seed(0)
    outputs = MODELS.get("vgg19")()(torch.randn(2, 3, 32, 32))
    assert (outputs[0] - outputs[1]).abs().mean() > 1e-4  # about 1e-8 from torch's own start


def test_resnet18_keeps_the_names_of_its_state() -> None:
    with torch.device("meta"):
        names = list(MODELS.get("resnet18")().state_dict())
    assert [name for name in names if name.startswith(("stem", "blocks.2.", "output"))] == [
        "stem.0.weight",
        *(f"stem.1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "blocks.2.conv1.weight",
        *(f"blocks.2.norm1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "blocks.2.conv2.weight",
        *(f"blocks.2.norm2.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "blocks.2.shortcut.0.weight",
        *(f"blocks.2.shortcut.1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "output.weight",
        "output.bias",
    ]
