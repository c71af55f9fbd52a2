"""Robust aggregation: n vectors [n, d] go in (numpy or torch), one vector [d] of the same kind comes out."""

from byzshield.aggregation.aggregator import AGGREGATORS, Aggregator, DistanceAggregator
from byzshield.aggregation.aksel import Aksel
from byzshield.aggregation.bulyan import Bulyan
from byzshield.aggregation.bulyan_one_pass import BulyanOnePass
from byzshield.aggregation.caf import CAF
from byzshield.aggregation.centered_clipping import CenteredClipping
from byzshield.aggregation.cge import CGE
from byzshield.aggregation.clipped_clustering import ClippedClustering
from byzshield.aggregation.describe import describe
from byzshield.aggregation.dnc import DnC
from byzshield.aggregation.geometric_median import GeometricMedian
from byzshield.aggregation.krum import Krum
from byzshield.aggregation.mda import MDA
from byzshield.aggregation.meamed import MeaMed
from byzshield.aggregation.mean import Mean
from byzshield.aggregation.median import Median
from byzshield.aggregation.median_of_means import MedianOfMeans
from byzshield.aggregation.monna import MoNNA
from byzshield.aggregation.multi_krum import MultiKrum
from byzshield.aggregation.phocas import Phocas
from byzshield.aggregation.pipeline import Aggregate, Pipeline
from byzshield.aggregation.pre import ARC, NNM, PRE_AGGREGATORS, Bucketing, PreAggregator, StaticClipping
from byzshield.aggregation.sign_guard import SignGuard
from byzshield.aggregation.sign_majority import SignMajority
from byzshield.aggregation.smea import SMEA
from byzshield.aggregation.streaming import ColumnStream
from byzshield.aggregation.trimmed_mean import TrimmedMean

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
    "Bucketing",
    "Bulyan",
    "BulyanOnePass",
    "CenteredClipping",
    "ClippedClustering",
    "ColumnStream",
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
