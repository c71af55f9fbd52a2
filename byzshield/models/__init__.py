"""Networks, and `FlatModel`: the view of one as flat vectors of parameters, gradients and batch statistics."""

from byzshield.models.buffers import changing_buffers
from byzshield.models.densenet import DenseNet
from byzshield.models.flat import FlatModel, trained_parameters
from byzshield.models.lenet import LeNet, LeNetByzShield
from byzshield.models.mlp import FC, MLP
from byzshield.models.network import MODELS
from byzshield.models.resnet import ResNet, ResNet18
from byzshield.models.seeded import seeded
from byzshield.models.vgg import VGG

__all__ = [
    "FC",
    "MLP",
    "MODELS",
    "VGG",
    "DenseNet",
    "FlatModel",
    "LeNet",
    "LeNetByzShield",
    "ResNet",
    "ResNet18",
    "changing_buffers",
    "seeded",
    "trained_parameters",
]
