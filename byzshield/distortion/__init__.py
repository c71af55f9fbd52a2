"""Worst-case corruption: an assignment and q go in, c_max(q) with a witness set of workers comes out."""

from byzshield.distortion.result import SearchInterrupted, WorstCase, corrupted_files
from byzshield.distortion.subsets import most_undetected
from byzshield.distortion.tolerance import most_byzantine
from byzshield.distortion.worst_case import worst_case

__all__ = ["SearchInterrupted", "WorstCase", "corrupted_files", "most_byzantine", "most_undetected", "worst_case"]
