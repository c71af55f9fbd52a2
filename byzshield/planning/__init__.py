"""Plans a cluster: K workers, q Byzantine ones and the machines go in; the placements that fit, with what they cost, come out."""

from byzshield.planning.cost import Cluster, Cost, cost_of
from byzshield.planning.option import Option
from byzshield.planning.plan import Plan, plan
from byzshield.planning.run_file import run_file

__all__ = ["Cluster", "Cost", "Option", "Plan", "cost_of", "plan", "run_file"]
