"""Data sets by name, as images in memory, and the deterministic sampling of files from them."""

from byzshield.data.dataset import DATASETS, Dataset, default_root, load
from byzshield.data.sampling import FileSampler, crop_and_flip

__all__ = ["DATASETS", "Dataset", "FileSampler", "crop_and_flip", "default_root", "load"]
