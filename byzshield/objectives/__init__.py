"""What training minimizes and what a test reports: losses and metrics by name, and `Objective`, which holds one set of them."""

from byzshield.objectives.contract import LOSSES, METRICS, Objective

__all__ = ["LOSSES", "METRICS", "Objective"]
