"""Composition: a `RunConfig` goes in, a finished run's directory and its summary come out."""

from byzshield.runtime.builder import Builder
from byzshield.runtime.jobs import simulate, train_mpi
from byzshield.runtime.run_directory import RunDirectory, open_finished

__all__ = ["Builder", "RunDirectory", "open_finished", "simulate", "train_mpi"]
