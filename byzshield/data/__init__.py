"""Data sets by name: images, arrays and torch's map-style data sets, and the deterministic sampling of files from them."""

from byzshield.data.array_dataset import ArrayDataset
from byzshield.data.contract import TrainingData
from byzshield.data.dataset import DATASETS, Dataset, as_training_data, load, training_data_of
from byzshield.data.device import moved
from byzshield.data.map_dataset import MapDataset
from byzshield.data.partition import partition
from byzshield.data.sampling import FileSampler, Sampler, ShardSampler, crop_and_flip

__all__ = [
    "DATASETS",
    "ArrayDataset",
    "Dataset",
    "FileSampler",
    "MapDataset",
    "Sampler",
    "ShardSampler",
    "TrainingData",
    "as_training_data",
    "crop_and_flip",
    "load",
    "moved",
    "partition",
    "training_data_of",
]
