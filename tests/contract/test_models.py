"""Every registered model, through every property that a model and its flat view must have."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from byzshield.errors import ParameterError
from byzshield.models import MLP, MODELS, FlatModel, LeNet, ResNet18

EXAMPLES: dict[str, list[tuple[tuple[int, int, int], dict[str, Any]]]] = {
    "densenet121": [((3, 8, 8), {})],
    "fc": [((1, 8, 8), {})],
    "lenet": [((1, 28, 28), {}), ((3, 32, 32), {})],
    "lenet_byzshield": [((1, 28, 28), {}), ((3, 16, 20), {})],
    "mlp": [((1, 8, 8), {}), ((3, 4, 4), {"hidden": [5, 6], "dropout": 0.2})],
    "resnet18": [((3, 16, 16), {})],
    "resnet50": [((3, 5, 7), {})],
    "vgg11": [((1, 32, 32), {})],
    "vgg11_bn": [((3, 32, 40), {})],
}
# Of the same layers as one above, but more of them.
DEEPER = {
    **dict.fromkeys(("densenet161", "densenet169", "densenet201"), (3, 8, 8)),
    **dict.fromkeys(("resnet34", "resnet101", "resnet152"), (3, 5, 7)),
    **dict.fromkeys(("vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"), (1, 32, 32)),
}
# Parameters at 10 classes: on MNIST for the first four, on CIFAR-10 for the others.
SIZES = {
    "mlp": 784 * 100 + 100 + 100 * 10 + 10,
    "fc": 784 * 800 + 800 + 800 * 500 + 500 + 500 * 10 + 10,
    "lenet": 431_080,
    "lenet_byzshield": 431_080,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "resnet101": 42_512_970,
    "resnet152": 58_156_618,
    "vgg11": 9_225_610,
    "vgg11_bn": 9_231_114,
    "vgg13": 9_410_122,
    "vgg13_bn": 9_416_010,
    "vgg16": 14_719_818,
    "vgg16_bn": 14_728_266,
    "vgg19": 20_029_514,
    "vgg19_bn": 20_040_522,
    "densenet121": 6_956_298,
    "densenet161": 26_482_378,
    "densenet169": 12_493_322,
    "densenet201": 18_104_330,
}
CASES = [(name, shape, options) for name, examples in EXAMPLES.items() for shape, options in examples]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Layers this small take longer with more, above all on a machine that has other things to do."""
    torch.set_num_threads(1)


def build(name: str, shape: tuple[int, int, int], options: dict[str, Any]) -> FlatModel:
    torch.manual_seed(0)
    return FlatModel(MODELS.get(name)(image_shape=shape, num_classes=10, **options))


def loss_of(shape: tuple[int, int, int]) -> Any:
    images = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))

    def loss(module: nn.Module) -> torch.Tensor:
        torch.manual_seed(3)
        return functional.cross_entropy(module(images), torch.tensor([0, 1, 2, 3]))

    return loss


def test_every_registered_model_has_examples() -> None:
    assert set(MODELS.names()) == EXAMPLES.keys() | DEEPER.keys() == SIZES.keys()


@pytest.mark.parametrize(("name", "shape"), DEEPER.items())
def test_a_deeper_model_gives_one_logit_a_class(name: str, shape: tuple[int, int, int]) -> None:
    with torch.device("meta"):  # shapes without values
        assert MODELS.get(name)(image_shape=shape, num_classes=10)(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_a_model_gives_one_logit_a_class(name: str, shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    assert build(name, shape, options).module(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_the_flat_gradient_is_what_autograd_gives(name: str, shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    flat = build(name, shape, options)
    vector = flat.gradient(loss_of(shape))
    torch.manual_seed(0)
    plain = MODELS.get(name)(image_shape=shape, num_classes=10, **options)
    gradients = torch.autograd.grad(loss_of(shape)(plain), list(plain.parameters()))
    expected = torch.cat([gradient.reshape(-1) for gradient in gradients]).numpy()
    np.testing.assert_array_equal(vector[: flat.num_parameters], expected)
    assert vector.shape == (flat.size,)


@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_loaded_parameters_are_the_modules_parameters(name: str, shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    flat = build(name, shape, options)
    vector = np.arange(flat.num_parameters, dtype=np.float32)
    flat.load_parameters(vector)
    in_module = torch.cat([parameter.detach().reshape(-1) for parameter in flat.module.parameters()])
    np.testing.assert_array_equal(in_module.numpy(), vector)
    np.testing.assert_array_equal(flat.parameter_vector(), vector)


@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_the_same_inputs_give_the_same_bytes(name: str, shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    ours, theirs = build(name, shape, options), build(name, shape, options)
    theirs.gradient(loss_of(shape))  # what was computed before must leave no trace
    assert ours.gradient(loss_of(shape)).tobytes() == theirs.gradient(loss_of(shape)).tobytes()


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_the_number_of_parameters(name: str, size: int) -> None:
    with torch.device("meta"):
        model = MODELS.get(name)()
    assert sum(parameter.numel() for parameter in model.parameters()) == size


def test_batch_statistics_ride_at_the_end_and_are_those_of_the_batch() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    flat = FlatModel(module)
    samples = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    vector = flat.gradient(lambda network: network(samples).sum())
    assert flat.size == flat.num_parameters + 5
    assert vector[-5:-1].tolist() == [2.0, 10.0, 2.0, 0.0]  # means 2 and 10, unbiased variances 2 and 0, by hand
    assert vector[-1] == pytest.approx(2 * module[1].bias.item(), abs=0.01)  # normalized inputs sum to 0


def test_blending_moves_the_running_buffers_as_batch_norm_would() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2))
    flat = FlatModel(module)
    flat.blend_statistics(np.array([2, 10, 5, -40, 99], np.float32))
    norm = module[0]
    np.testing.assert_allclose(norm.running_mean, [0.2, 1.0], rtol=1e-6)
    np.testing.assert_allclose(norm.running_var, [1.4, 0.9], rtol=1e-6)  # -40 is no variance: it counts as 0


def test_only_trainable_parameters_are_in_the_vectors() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    module[0].requires_grad_(False)
    frozen = {name: values.clone() for name, values in module[0].state_dict().items()}
    flat = FlatModel(module)
    assert (flat.num_parameters, flat.size) == (3, 4)
    flat.load_parameters(np.array([1, 2, 3], np.float32))
    assert flat.gradient(lambda network: network(torch.ones(4, 3)).sum()).shape == (4,)
    assert all(torch.equal(values, frozen[name]) for name, values in module[0].state_dict().items())
    assert module[1].weight.tolist() == [[1, 2]]


def test_a_model_without_a_trainable_parameter_is_refused() -> None:
    with pytest.raises(ParameterError, match="Linear has none"):
        FlatModel(nn.Linear(3, 2).requires_grad_(False))


def test_lenet_refuses_images_that_are_too_small() -> None:
    with pytest.raises(ParameterError, match="16 x 16"):
        LeNet(image_shape=(1, 12, 12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"hidden": hidden}, "hidden must have at least 1 unit") for hidden in ([-1], [8, 0])),
        *(({"hidden": hidden}, "one message carries") for hidden in ([1 << 20, 1 << 20], [1 << 20])),
        *(({"dropout": dropout}, "dropout must be at least 0") for dropout in (-0.1, 1.0, 2.0, float("nan"))),
    ],
)
def test_mlp_refuses_sizes_and_probabilities_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MLP(**options)


def test_resnet18_says_that_one_value_has_no_variance() -> None:
    model = ResNet18(image_shape=(3, 8, 8))
    with pytest.raises(ParameterError, match="at least 2 samples a file"):
        model(torch.zeros(1, 3, 8, 8))
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    assert model(torch.zeros(1, 3, 9, 8)).shape == (1, 10)
    assert model.eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
