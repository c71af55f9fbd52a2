"""The algorithm without I/O: a parameter server and workers that take messages and return messages."""

from byzshield.training.adversary import Adversary
from byzshield.training.gradient import GradientComputer
from byzshield.training.memories import Memories
from byzshield.training.server import ParameterServer, StepOutcome
from byzshield.training.state import TrainingState
from byzshield.training.worker import Worker

__all__ = ["Adversary", "GradientComputer", "Memories", "ParameterServer", "StepOutcome", "TrainingState", "Worker"]
