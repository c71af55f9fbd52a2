"""Networks, and `FlatModel`: the view of one as flat vectors of parameters, gradients and batch statistics."""

from byzshield.models.flat import FlatModel
from byzshield.models.lenet import LeNet
from byzshield.models.mlp import MLP
from byzshield.models.network import MODELS
from byzshield.models.resnet import ResNet18
from byzshield.models.seeded import seeded

__all__ = ["MLP", "MODELS", "FlatModel", "LeNet", "ResNet18", "seeded"]
