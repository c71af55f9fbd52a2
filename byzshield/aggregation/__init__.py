"""Robust aggregation: n vectors [n, d] go in (numpy or torch), one vector [d] of the same kind comes out."""

from byzshield.aggregation.aggregator import AGGREGATORS, Aggregator
from byzshield.aggregation.mean import Mean
from byzshield.aggregation.median import Median
from byzshield.aggregation.pipeline import Aggregate, Pipeline
from byzshield.aggregation.trimmed_mean import TrimmedMean

__all__ = ["AGGREGATORS", "Aggregate", "Aggregator", "Mean", "Median", "Pipeline", "TrimmedMean"]
