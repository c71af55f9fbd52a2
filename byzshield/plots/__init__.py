"""Directories of runs and sweeps go in, tables, figures and reports come out; matplotlib is imported only to draw."""

from byzshield.plots.directories import read_run, read_runs
from byzshield.plots.groups import Group, Spread, group_runs
from byzshield.plots.runs import Run
from byzshield.plots.tables import table_rows, unfinished_rows

__all__ = ["Group", "Run", "Spread", "group_runs", "read_run", "read_runs", "table_rows", "unfinished_rows"]
