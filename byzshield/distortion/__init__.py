"""Worst-case corruption: an assignment and q go in, c_max(q) with a witness set of workers comes out."""

from byzshield.distortion.search import WorstCase, corrupted_files, worst_case

__all__ = ["WorstCase", "corrupted_files", "worst_case"]
