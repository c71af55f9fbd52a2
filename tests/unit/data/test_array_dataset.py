"""Rows of arrays as training data, in memory and mapped from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.data import ArrayDataset, as_training_data, load
from byzshield.errors import DataError, ParameterError

FILES = ("train_inputs", "train_targets", "test_inputs", "test_targets")


def table(size: int) -> tuple[Any, Any]:
    return np.arange(3.0 * size).reshape(size, 3), np.arange(size)


def test_a_batch_has_the_rows_asked_for_as_float32_and_int64() -> None:
    inputs, targets = table(5)
    data = ArrayDataset(train=(inputs, targets.astype(np.int16)), test=(torch.from_numpy(inputs), torch.from_numpy(targets)))
    batch = data.train_batch(np.array([4, 0]), seed=1, step=1, file=0, augment=True)
    assert [each.tolist() for each in batch] == [[[12.0, 13.0, 14.0], [0.0, 1.0, 2.0]], [4, 0]]
    assert [each.dtype for each in batch] == [torch.float32, torch.int64]
    assert data.test_batch(3, 5)[1].tolist() == [3, 4]
    assert (data.num_train, data.num_test, data.num_classes, data.image_shape) == (5, 5, 5, None)


def test_what_are_no_classes_has_none() -> None:
    inputs, targets = table(5)
    for other in (targets * 0.5, targets - 1, np.stack([targets, targets], axis=1)):
        data = ArrayDataset(train=(inputs, other), test=(inputs, other))
        assert (data.train_labels, data.num_classes) == (None, None)
    images = np.zeros((5, 1, 2, 3))
    assert ArrayDataset(train=(images, targets), test=(images, targets)).image_shape == (1, 2, 3)


def test_a_pair_of_pairs_of_arrays_is_one_and_a_pair_of_lists_is_not() -> None:
    assert isinstance(as_training_data((table(5), table(2)), "it"), ArrayDataset)
    assert not isinstance(as_training_data(([table(5)], [table(2)]), "it"), ArrayDataset)


def test_files_are_mapped_and_only_the_rows_of_a_batch_are_read(tmp_path: Path) -> None:
    (inputs, targets), named = table(50), {name: f"{name}.npy" for name in FILES}
    for name in FILES:
        np.save(tmp_path / named[name], inputs if name.endswith("inputs") else targets)
    large = np.lib.format.open_memmap(  # of a size that no test machine has as memory; its holes take no space on disk
        tmp_path / "large.npy", mode="w+", dtype=np.float32, shape=(10_000_000, 50_000)
    )
    large[9_999_999] = 7
    del large
    np.save(tmp_path / "many.npy", np.zeros(10_000_000, dtype=np.int8))
    data = load("arrays", root=tmp_path, **named)
    assert data.train_batch(np.array([49]), seed=1, step=1, file=0, augment=False)[0].tolist() == [[147.0, 148.0, 149.0]]
    data = load(
        "arrays",
        root=tmp_path,
        train_inputs="large.npy",
        train_targets="many.npy",
        test_inputs="large.npy",
        test_targets="many.npy",
    )
    batch, _ = data.train_batch(np.array([9_999_999, 3]), seed=1, step=1, file=0, augment=False)
    assert batch[:, -1].tolist() == [7.0, 0.0]
    assert data.location == f"in {tmp_path}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArrayDataset(train=table(3)[0], test=table(3)), "train must be a pair of arrays, .* got ndarray"),
        (lambda: ArrayDataset(train=(table(3)[0], table(2)[1]), test=table(3)), "got 3 inputs and 2 targets"),
        (lambda: ArrayDataset(train=table(3), test=(["a"], ["b"])), "the inputs of test must be an array of numbers .* got list"),
        (lambda: ArrayDataset(train=table(0), test=table(1)), r"the inputs of train .* got float64 \[0, 3\]"),
        (lambda: ArrayDataset(train=table(3), test=(np.zeros((2, 4)), np.zeros(2))), r"same shape; got \[3\] and \[4\]"),
    ],
)
def test_what_are_no_arrays_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    for name in ("missing", "damaged", "pickled"):
        with pytest.raises(DataError, match=rf"{name}\.npy cannot be mapped as a \.npy file: "):
            load("arrays", root=tmp_path, **dict.fromkeys(FILES, f"{name}.npy"))
    with pytest.raises(ParameterError, match="nothing to download"):
        load("arrays", root=tmp_path, download=True, **dict.fromkeys(FILES, "missing.npy"))
