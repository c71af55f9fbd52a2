"""Train PyTorch models on machines that you cannot fully trust.

Rules, pre-aggregators and attacks are called on rows, placements on their sizes:

    import byzshield as bz

    bz.TrimmedMean(2)(rows)                       # [n, d] -> [d]; numpy, torch on any device, or a list of vectors
    bz.ALIE(z=1.5)(rows)                          # what colluders send who know these rows
    bz.worst_case(bz.mols(5, 3), 3).c_max         # the most files that 3 of 15 workers can corrupt

Networks, data and losses of one's own are trained by `simulate` in one process and by `train` under mpirun:

    result = bz.simulate(model=Net, train=dataset, test=other, loss=loss, placement=bz.mols(5, 3), rule=bz.Median(), steps=200)
    result.model, result.summary["test_loss"], result.history, result.directory

Importing this package imports neither numpy nor torch nor MPI; each name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from byzshield.aggregation import ARC as ARC
    from byzshield.aggregation import CAF as CAF
    from byzshield.aggregation import CGE as CGE
    from byzshield.aggregation import MDA as MDA
    from byzshield.aggregation import NNM as NNM
    from byzshield.aggregation import SMEA as SMEA
    from byzshield.aggregation import Aksel as Aksel
    from byzshield.aggregation import Bucketed as Bucketed
    from byzshield.aggregation import Bucketing as Bucketing
    from byzshield.aggregation import Bulyan as Bulyan
    from byzshield.aggregation import BulyanByzShield as BulyanByzShield
    from byzshield.aggregation import BulyanOnePass as BulyanOnePass
    from byzshield.aggregation import CenteredClipping as CenteredClipping
    from byzshield.aggregation import ClippedClustering as ClippedClustering
    from byzshield.aggregation import DnC as DnC
    from byzshield.aggregation import GeometricMedian as GeometricMedian
    from byzshield.aggregation import Krum as Krum
    from byzshield.aggregation import MeaMed as MeaMed
    from byzshield.aggregation import Mean as Mean
    from byzshield.aggregation import Median as Median
    from byzshield.aggregation import MedianOfMeans as MedianOfMeans
    from byzshield.aggregation import MoNNA as MoNNA
    from byzshield.aggregation import MultiKrum as MultiKrum
    from byzshield.aggregation import Phocas as Phocas
    from byzshield.aggregation import Pipeline as Pipeline
    from byzshield.aggregation import SignGuard as SignGuard
    from byzshield.aggregation import SignMajority as SignMajority
    from byzshield.aggregation import StaticClipping as StaticClipping
    from byzshield.aggregation import TrimmedMean as TrimmedMean
    from byzshield.api import TrainingResult as TrainingResult
    from byzshield.api import simulate as simulate
    from byzshield.api import train as train
    from byzshield.attacks import ALIE as ALIE
    from byzshield.attacks import ROP as ROP
    from byzshield.attacks import AGRTailored as AGRTailored
    from byzshield.attacks import AntiCGE as AntiCGE
    from byzshield.attacks import Constant as Constant
    from byzshield.attacks import FallOfEmpires as FallOfEmpires
    from byzshield.attacks import Fang as Fang
    from byzshield.attacks import FangKrum as FangKrum
    from byzshield.attacks import LabelFlip as LabelFlip
    from byzshield.attacks import Mimic as Mimic
    from byzshield.attacks import MinMax as MinMax
    from byzshield.attacks import MinSum as MinSum
    from byzshield.attacks import PoisonedFL as PoisonedFL
    from byzshield.attacks import ReversedGradient as ReversedGradient
    from byzshield.distortion import WorstCase as WorstCase
    from byzshield.distortion import worst_case as worst_case
    from byzshield.errors import ByzShieldError as ByzShieldError
    from byzshield.placement import Assignment as Assignment
    from byzshield.placement import aspis as aspis
    from byzshield.placement import baseline as baseline
    from byzshield.placement import custom as custom
    from byzshield.placement import cyclic as cyclic
    from byzshield.placement import frc as frc
    from byzshield.placement import mols as mols
    from byzshield.placement import ramanujan1 as ramanujan1
    from byzshield.placement import ramanujan2 as ramanujan2
    from byzshield.placement import steiner as steiner
    from byzshield.planning import Cluster as Cluster
    from byzshield.planning import Plan as Plan
    from byzshield.planning import plan as plan

__version__ = "0.1.0"

_NAMES: Final = {
    "byzshield.aggregation": "ARC CAF CGE MDA NNM SMEA Aksel Bucketed Bucketing Bulyan BulyanByzShield BulyanOnePass "
    "CenteredClipping ClippedClustering DnC GeometricMedian Krum MeaMed Mean Median MedianOfMeans MoNNA MultiKrum Phocas "
    "Pipeline SignGuard SignMajority StaticClipping TrimmedMean",
    "byzshield.api": "TrainingResult simulate train",
    "byzshield.attacks": "AGRTailored ALIE AntiCGE Constant FallOfEmpires Fang FangKrum LabelFlip Mimic MinMax MinSum PoisonedFL "
    "ROP ReversedGradient",
    "byzshield.distortion": "WorstCase worst_case",
    "byzshield.errors": "ByzShieldError",
    "byzshield.placement": "Assignment aspis baseline custom cyclic frc mols ramanujan1 ramanujan2 steiner",
    "byzshield.planning": "Cluster Plan plan",
}
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
