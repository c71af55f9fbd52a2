"""Pre-aggregators: from rows [n, d] to rows [m, d] among which the honest ones are closer together or shorter."""

from byzshield.aggregation.contract import PRE_AGGREGATORS, PreAggregator
from byzshield.aggregation.pre.arc import ARC
from byzshield.aggregation.pre.bucketing import Bucketing
from byzshield.aggregation.pre.nnm import NNM
from byzshield.aggregation.pre.static_clipping import StaticClipping

__all__ = ["ARC", "NNM", "PRE_AGGREGATORS", "Bucketing", "PreAggregator", "StaticClipping"]
