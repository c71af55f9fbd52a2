"""What Byzantine workers do: true gradients go in, forged ones come out; `Selection` says who they are."""

from byzshield.attacks.alie import ALIE
from byzshield.attacks.attack import ATTACKS, Attack, Memory, Situation
from byzshield.attacks.constant import Constant
from byzshield.attacks.fall_of_empires import FallOfEmpires
from byzshield.attacks.min_max import MinMax, MinSum
from byzshield.attacks.reversed_gradient import ReversedGradient
from byzshield.attacks.selection import Selection

__all__ = [
    "ALIE",
    "ATTACKS",
    "Attack",
    "Constant",
    "FallOfEmpires",
    "Memory",
    "MinMax",
    "MinSum",
    "ReversedGradient",
    "Selection",
    "Situation",
]
