"""A model as one flat vector of parameters, and its gradient and batch statistics as another."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from byzshield.arrays import Float32
from byzshield.errors import ParameterError
from byzshield.reuse import Reused

__all__ = ["FlatModel", "trained_parameters"]

LossOf = Callable[[nn.Module], torch.Tensor]
MOST_KEPT = 1024  # vectors
LEAST_KEPT = 1 << 14  # elements of a vector for which its memory is worth keeping


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training moves, by name.

    Raises:
        ParameterError: there are none, or one is not float32.
    """
    trained = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
    if not trained:
        raise ParameterError(f"a model needs parameters with requires_grad=True; {type(module).__name__} has none")
    for name, tensor in trained.items():
        if tensor.dtype != torch.float32:
            raise ParameterError(
                f"parameters that are trained must be float32, as they travel; {name} is {str(tensor.dtype)[6:]}: make them so "
                'with .float(); cluster.precision = "bfloat16" has the forward pass in bfloat16 nevertheless'
            )
    return trained


class FlatModel:
    """A view of a module's trainable parameters, their gradients and BatchNorm statistics as flat float32 vectors.

    The parameters become slices of one contiguous tensor, and their gradients are added up in slices of the vector that is
    returned, so neither loading nor reading copies parameter by parameter. A gradient vector has d = p + s elements: the
    gradients of the p trainable parameters, then the statistics of the pass: the batch mean and variance of each BatchNorm layer
    in order, which a training forward pass leaves in that layer's running buffers, and last the loss. Parameters with
    requires_grad=False are in no vector, so that nothing moves them.

    Args:
        module: the network; it is changed in place.
        device: where it computes.

    Raises:
        ParameterError: it has no trainable parameter, or one that is not float32.
    """

    def __init__(self, module: nn.Module, *, device: str | torch.device = "cpu") -> None:
        self.module = module.to(device)
        self._device = torch.device(device)
        tensors = trained_parameters(self.module)
        self.num_parameters = sum(tensor.numel() for tensor in tensors.values())
        self.slices: dict[str, slice] = {}  # where each trainable parameter is, by its name and in this order
        self.parameters = torch.empty(self.num_parameters, device=self._device)
        self._trained = list(tensors.values())
        self._vectors: Reused[Float32] = Reused(lambda size: np.empty(size, dtype=np.float32), most=MOST_KEPT, least=LEAST_KEPT)
        start = 0
        for name, tensor in tensors.items():
            part = self.slices[name] = slice(start, start + tensor.numel())
            self.parameters[part] = tensor.detach().reshape(-1)
            tensor.data = self.parameters[part].view(tensor.shape)
            start = part.stop
        self._norms = [
            layer for layer in self.module.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None
        ]
        self._momenta = [0.1 if layer.momentum is None else layer.momentum for layer in self._norms]
        self.num_statistics = sum(buffer.numel() for buffer in self._running()) + 1

    @property
    def size(self) -> int:
        """d, the length of the gradient vector."""
        return self.num_parameters + self.num_statistics

    def load_parameters(self, vector: Float32) -> None:
        """Sets the parameters from `vector`, float32 [p]."""
        self.parameters.copy_(torch.from_numpy(vector))

    def write_parameters(self, write: Callable[[Float32], None]) -> None:
        """Sets the parameters to what `write` puts into an array, float32 [p], which on a CPU is where they are."""
        vector = self.parameters_in_place()
        write(vector)
        if self._device.type != "cpu":
            self.load_parameters(vector)

    def parameter_vector(self) -> Float32:
        """A copy of the parameters, float32 [p]."""
        return self.parameters_in_place().copy()

    def parameters_in_place(self) -> Float32:
        """The parameters, float32 [p], which change with the model's where that is on the CPU."""
        vector: Float32 = self.parameters.detach().cpu().numpy()
        return vector

    def gradient(self, loss_of: LossOf) -> Float32:
        """Runs forward and backward in training mode.

        Args:
            loss_of: maps the module to a scalar loss.

        Returns:
            [gradients | batch statistics | loss], float32 [d], an array that nobody else refers to.
        """
        self.module.train()
        for layer in self._norms:
            layer.momentum = 1.0  # the running buffers then hold this batch's statistics, nothing else
        vector = self._vectors.take(self.size)
        target = torch.from_numpy(vector)[: self.num_parameters]
        gradients = target if self._device.type == "cpu" else torch.empty_like(self.parameters)
        gradients.zero_()
        for tensor, part in zip(self._trained, self.slices.values(), strict=True):
            tensor.grad = gradients[part].view(tensor.shape)
        loss = loss_of(self.module)
        loss.backward()  # type: ignore[no-untyped-call]
        for tensor in self._trained:
            tensor.grad = None  # or the vector would stay in use
        if gradients is not target:
            target.copy_(gradients)
        if self._norms:
            vector[self.num_parameters : -1] = torch.cat([buffer.reshape(-1) for buffer in self._running()]).cpu().numpy()
        vector[-1] = loss.detach().cpu()
        return vector

    def blend_statistics(self, statistics: Float32) -> None:
        """Moves the running buffers towards combined statistics, float32 [s], by each layer's momentum."""
        start = 0
        values = torch.from_numpy(statistics).to(self._device)
        for layer, momentum in zip(self._norms, self._momenta, strict=True):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            for buffer in (layer.running_mean, layer.running_var):
                part = values[start : start + buffer.numel()].view(buffer.shape)
                # A variance that no batch can have comes from colluders who won their vote.
                buffer.lerp_(part.clamp(min=0) if buffer is layer.running_var else part, momentum)
                start += buffer.numel()

    def _running(self) -> list[torch.Tensor]:
        return [buffer for layer in self._norms for buffer in (layer.running_mean, layer.running_var) if buffer is not None]
