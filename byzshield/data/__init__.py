"""Data sets by name, as images in memory, and the deterministic sampling of files from them."""

from byzshield.data.dataset import DATASETS, Dataset, load
from byzshield.data.sampling import FileSampler, crop_and_flip

__all__ = ["DATASETS", "Dataset", "FileSampler", "crop_and_flip", "load"]
