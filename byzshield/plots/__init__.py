"""Metrics files go in, figures and HTML reports come out; matplotlib is imported only when something is drawn."""

from byzshield.plots.report import FinishedRun, read_run, table_rows, write_report

__all__ = ["FinishedRun", "read_run", "table_rows", "write_report"]
