"""LeNet and FC against formulas written out here, with the same weights."""

import math

import pytest
import torch
from torch.nn import functional

from byzshield.models import FC, LeNet, LeNetByzShield


def images(*shape: int) -> torch.Tensor:
    return torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))


def convolved(maps: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """Convolution, pooling, ReLU, in the order of the published code, twice; then the first linear layer."""
    for weight, bias in zip(weights[0:4:2], weights[1:4:2], strict=True):
        maps = functional.relu(functional.max_pool2d(functional.conv2d(maps, weight, bias), 2, stride=2))
    return maps.reshape(len(maps), -1) @ weights[4].T + weights[5]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_lenet_byzshield_has_no_activation_between_its_linear_layers_and_lenet_has_relu(shape: tuple[int, int, int]) -> None:
    batch = images(*shape)
    for network, activation in ((LeNetByzShield, lambda units: units), (LeNet, functional.relu)):
        torch.manual_seed(0)
        model = network(image_shape=shape)
        weights = [parameter.detach() for parameter in model.parameters()]
        expected = activation(convolved(batch, weights)) @ weights[6].T + weights[7]
        torch.testing.assert_close(model(batch).detach(), expected)


def test_both_forms_of_lenet_start_equal_and_compute_different_things() -> None:
    torch.manual_seed(0)
    ours = LeNet()
    torch.manual_seed(0)
    published = LeNetByzShield()
    assert list(ours.state_dict()) == list(published.state_dict())
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(ours.parameters(), published.parameters(), strict=True))
    assert not torch.allclose(ours(images(1, 28, 28)), published(images(1, 28, 28)), atol=1e-3)


def test_fc_has_relu_between_its_layers_and_a_sigmoid_at_the_end() -> None:
    torch.manual_seed(0)
    model = FC()
    weights = [parameter.detach() for parameter in model.parameters()]
    assert [tuple(weight.shape) for weight in weights] == [(800, 784), (800,), (500, 800), (500,), (10, 500), (10,)]
    units = images(1, 28, 28).reshape(5, 784)
    for weight, bias in ((weights[0], weights[1]), (weights[2], weights[3])):
        units = (units @ weight.T + bias).clamp(min=0)
    expected = 1 / (1 + torch.exp(-(units @ weights[4].T + weights[5])))
    torch.testing.assert_close(model(images(1, 28, 28)).detach(), expected)


def test_the_best_loss_of_fc_is_what_its_docstring_says() -> None:
    outputs = torch.zeros(1, 10)
    outputs[0, 3] = 1
    best = functional.cross_entropy(outputs, torch.tensor([3])).item()
    assert best == pytest.approx(math.log(1 + 9 / math.e)) == pytest.approx(1.46, abs=0.005)
