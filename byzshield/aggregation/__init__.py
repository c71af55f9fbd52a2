"""Robust aggregation: n vectors [n, d] go in (numpy or torch), one vector [d] of the same kind comes out."""

from byzshield.aggregation.contract import AGGREGATORS, Aggregator, DistanceAggregator
from byzshield.aggregation.describe import describe
from byzshield.aggregation.pipeline import Aggregate, Pipeline
from byzshield.aggregation.pre import ARC, NNM, PRE_AGGREGATORS, Bucketing, PreAggregator, StaticClipping
from byzshield.aggregation.rules.aksel import Aksel
from byzshield.aggregation.rules.bucketed import Bucketed
from byzshield.aggregation.rules.bulyan import Bulyan
from byzshield.aggregation.rules.bulyan_byzshield import BulyanByzShield
from byzshield.aggregation.rules.bulyan_one_pass import BulyanOnePass
from byzshield.aggregation.rules.caf import CAF
from byzshield.aggregation.rules.centered_clipping import CenteredClipping
from byzshield.aggregation.rules.cge import CGE
from byzshield.aggregation.rules.clipped_clustering import ClippedClustering
from byzshield.aggregation.rules.dnc import DnC
from byzshield.aggregation.rules.geometric_median import GeometricMedian
from byzshield.aggregation.rules.krum import Krum
from byzshield.aggregation.rules.mda import MDA
from byzshield.aggregation.rules.meamed import MeaMed
from byzshield.aggregation.rules.mean import Mean
from byzshield.aggregation.rules.median import Median
from byzshield.aggregation.rules.median_of_means import MedianOfMeans
from byzshield.aggregation.rules.monna import MoNNA
from byzshield.aggregation.rules.multi_krum import MultiKrum
from byzshield.aggregation.rules.phocas import Phocas
from byzshield.aggregation.rules.sign_guard import SignGuard
from byzshield.aggregation.rules.sign_majority import SignMajority
from byzshield.aggregation.rules.smea import SMEA
from byzshield.aggregation.rules.trimmed_mean import TrimmedMean

__all__ = [
    "AGGREGATORS",
    "ARC",
    "CAF",
    "CGE",
    "MDA",
    "NNM",
    "PRE_AGGREGATORS",
    "SMEA",
    "Aggregate",
    "Aggregator",
    "Aksel",
    "Bucketed",
    "Bucketing",
    "Bulyan",
    "BulyanByzShield",
    "BulyanOnePass",
    "CenteredClipping",
    "ClippedClustering",
    "DistanceAggregator",
    "DnC",
    "GeometricMedian",
    "Krum",
    "MeaMed",
    "Mean",
    "Median",
    "MedianOfMeans",
    "MoNNA",
    "MultiKrum",
    "Phocas",
    "Pipeline",
    "PreAggregator",
    "SignGuard",
    "SignMajority",
    "StaticClipping",
    "TrimmedMean",
    "describe",
]
