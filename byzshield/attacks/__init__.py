"""What Byzantine workers do: true gradients go in, forged ones come out; `Selection` says who they are."""

from byzshield.attacks.agr_tailored import AGRTailored
from byzshield.attacks.alie import ALIE
from byzshield.attacks.anti_cge import AntiCGE
from byzshield.attacks.attack import ATTACKS, Attack, Memory, Situation
from byzshield.attacks.constant import Constant
from byzshield.attacks.defense import Defense
from byzshield.attacks.fall_of_empires import FallOfEmpires
from byzshield.attacks.fang import Fang, FangKrum
from byzshield.attacks.label_flip import LabelFlip
from byzshield.attacks.mimic import Mimic
from byzshield.attacks.min_max import MinMax, MinSum
from byzshield.attacks.poisoned_fl import PoisonedFL
from byzshield.attacks.reversed_gradient import ReversedGradient
from byzshield.attacks.rop import ROP
from byzshield.attacks.selection import Selection

__all__ = [
    "ALIE",
    "ATTACKS",
    "ROP",
    "AGRTailored",
    "AntiCGE",
    "Attack",
    "Constant",
    "Defense",
    "FallOfEmpires",
    "Fang",
    "FangKrum",
    "LabelFlip",
    "Memory",
    "Mimic",
    "MinMax",
    "MinSum",
    "PoisonedFL",
    "ReversedGradient",
    "Selection",
    "Situation",
]
