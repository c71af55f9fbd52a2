"""A user's own arrays are checked before a worker meets them in the middle of a step."""

from typing import Any

import numpy as np
import pytest
from own_data import fields

from byzshield.data import Dataset
from byzshield.errors import DataError, ParameterError

SOUND = fields()
IMAGES, LABELS = SOUND["train_images"], SOUND["train_labels"]

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"train_images": IMAGES.astype(np.float32)}, r"train_images must be .* uint8, .*; got float32 \[20, 1, 4, 4\]"),
    ({"train_images": IMAGES[:, 0]}, r"train_images must be .*; got uint8 \[20, 4, 4\]"),
    ({"train_images": IMAGES[:0]}, r"train_images must be .*; got uint8 \[0, 1, 4, 4\]"),
    ({"test_images": IMAGES[:, :, :0]}, "test_images must be"),
    ({"test_images": [[0]]}, "test_images must be .*; got list"),
    ({"test_images": IMAGES[:, :, :2]}, r"test_images must have the shape of train_images, \[n, \*\[1, 4, 4\]\]; got"),
    ({"train_labels": LABELS[1:]}, r"train_labels must be a NumPy array of int64, \[20\] .*; got int64 \[19\]"),
    ({"train_labels": LABELS.astype(np.int32)}, "train_labels must be a NumPy array of int64"),
    ({"train_labels": LABELS[:, None]}, "train_labels must be"),
    ({"test_labels": LABELS.tolist()}, "test_labels must be .*; got list"),
    ({"test_labels": LABELS + 1}, "test_labels must be 0 to 2, as num_classes is 3; got 1 to 3"),
    ({"train_labels": LABELS - 1}, "train_labels must be 0 to 2, as num_classes is 3; got -1 to 1"),
    ({"num_classes": 2}, "train_labels must be 0 to 1"),
    ({"num_classes": 0}, "num_classes must be"),
    ({"num_classes": "3"}, "num_classes must be"),
    ({"mean": (0.1, 0.2)}, "mean must have a number for each of the 1 channels"),
    ({"mean": 0.1}, "mean must have"),
    ({"mean": (float("nan"),)}, "mean must have"),
    ({"std": (0.0,)}, "std must have a positive number"),
    ({"std": ()}, "std must have"),
    ({"std": ("x",)}, "std must have"),
    ({"padding_mode": "wrap"}, "padding_mode must be one of reflect, constant"),
]


@pytest.mark.parametrize(("changed", "message"), WRONG)
def test_wrong_arrays_are_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ParameterError), match=message):
        Dataset(**{**SOUND, **changed})


@pytest.mark.parametrize(
    "changed", [{}, {"mean": [0.5]}, {"std": np.array([0.5], dtype=np.float32)}, {"num_classes": np.int64(9)}]
)
def test_sound_arrays_are_taken(changed: dict[str, Any]) -> None:
    assert Dataset(**{**SOUND, **changed}).image_shape == (1, 4, 4)
