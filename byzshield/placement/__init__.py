"""Which worker computes which file: sizes go in, an `Assignment` of K workers to f files comes out."""

from byzshield.placement.aspis import aspis
from byzshield.placement.assignment import PLACEMENTS, Assignment, build
from byzshield.placement.baseline import baseline
from byzshield.placement.custom import custom
from byzshield.placement.cyclic import cyclic
from byzshield.placement.fitting import fitting_placements
from byzshield.placement.frc import frc
from byzshield.placement.mols import mols
from byzshield.placement.permuted import permuted
from byzshield.placement.ramanujan import ramanujan1, ramanujan2
from byzshield.placement.spectrum import Spectrum, spectrum
from byzshield.placement.steiner import steiner

__all__ = [
    "PLACEMENTS",
    "Assignment",
    "Spectrum",
    "aspis",
    "baseline",
    "build",
    "custom",
    "cyclic",
    "fitting_placements",
    "frc",
    "mols",
    "permuted",
    "ramanujan1",
    "ramanujan2",
    "spectrum",
    "steiner",
]
