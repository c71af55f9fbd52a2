"""The lines of metrics.jsonl for other programs: a run's lines go in, files for spreadsheets and dashboards come out."""

from byzshield.runtime.writers.csv_file import CSVFile
from byzshield.runtime.writers.event_file import EventFile
from byzshield.runtime.writers.prometheus_file import PrometheusFile
from byzshield.runtime.writers.writer import Line, Writer
from byzshield.runtime.writers.writers import Writers

__all__ = ["CSVFile", "EventFile", "Line", "PrometheusFile", "Writer", "Writers"]
