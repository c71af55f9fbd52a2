"""What Byzantine workers do: true gradients go in, forged ones come out; `Selection` says who they are."""

from byzshield.attacks.agr_tailored import AGRTailored
from byzshield.attacks.alie import ALIE
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.attacks.constant import Constant
from byzshield.attacks.defense import Defense
from byzshield.attacks.fall_of_empires import FallOfEmpires
from byzshield.attacks.fang import Fang, FangKrum
from byzshield.attacks.min_max import MinMax, MinSum
from byzshield.attacks.reversed_gradient import ReversedGradient
from byzshield.attacks.selection import Selection

__all__ = [
    "ALIE",
    "ATTACKS",
    "AGRTailored",
    "Attack",
    "Constant",
    "Defense",
    "FallOfEmpires",
    "Fang",
    "FangKrum",
    "MinMax",
    "MinSum",
    "ReversedGradient",
    "Selection",
    "Situation",
]
