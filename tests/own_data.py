"""Data sets as a user may write them, named in tests as "own_data:...", good and bad."""

from pathlib import Path
from typing import Any

import numpy as np

from byzshield.data import Dataset


def fields(**changed: Any) -> dict[str, Any]:
    """Of a sound data set of 20 images and 3 classes, some of them changed."""
    images, labels = np.zeros((20, 1, 4, 4), dtype=np.uint8), np.arange(20) % 3
    sound = {
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
        "num_classes": 3,
        "mean": (0.5,),
        "std": (0.2,),
    }
    return {**sound, **changed}


def small(root: Path) -> Dataset:
    """Takes one of the two keywords that the program gives."""
    return Dataset(**fields(location=f"which would be in {root}"))


def elsewhere(root: str = "its own folder") -> Dataset:
    """Has a folder of its own, unless the run file names one."""
    return Dataset(**fields(location=f"in {root}"))


def unlabeled() -> Dataset:
    """Has fewer labels than images."""
    return Dataset(**fields(train_labels=np.zeros(3, dtype=np.int64)))


def failing(**sizes: Any) -> Dataset:
    """Raises, as a data set and as a placement."""
    raise KeyError("nothing")


def nothing() -> None:
    """Makes none."""
