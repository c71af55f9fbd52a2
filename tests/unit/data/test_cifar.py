"""Batches of CIFAR: read as Python 2 wrote them, and never run."""

import gzip
import hashlib
import os
import pickle  # noqa: TID251 - CIFAR is published in this format
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_files import python2_batch, write_cifar10, write_cifar100

from byzshield.data import cifar, load
from byzshield.data.cifar import read_batch
from byzshield.errors import DataError

HERE = Path(__file__).parent
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
BATCH = python2_batch(IMAGES, [7, 0, 300], "labels")


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_a_batch_that_python_2_pickled_is_read(order: str, tmp_path: Path) -> None:
    """Ten images, pickled by Python 2.7.18 and numpy 1.16.6; each pixel is 16 n + 4 channel + 2 (right half) + (lower half)."""
    path = tmp_path / "batch"
    path.write_bytes(gzip.decompress((HERE / f"python2_batch_by_{order}.pickle.gz").read_bytes()))
    images, labels = read_batch(path, "labels")
    n, channel, row, column = np.indices((10, 3, 32, 32))
    assert (images == 16 * n + 4 * channel + 2 * (column // 16) + row // 16).all()
    assert labels.tolist() == [0, 3, 6, 9, 2, 5, 8, 1, 4, 7]
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:dtype")  # numpy does not like numpy 1's pickles
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_torchvision_reads_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    theirs: Any = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    {"cifar10": write_cifar10, "cifar100": write_cifar100}[name](tmp_path, monkeypatch)
    meta = pickle.dumps({"label_names": [], "fine_label_names": []})
    (tmp_path / theirs.base_folder / theirs.meta["filename"]).write_bytes(meta)
    monkeypatch.setattr(theirs, "meta", {**theirs.meta, "md5": hashlib.md5(meta).hexdigest()})
    md5 = {"cifar10": cifar.CIFAR10_MD5, "cifar100": cifar.CIFAR100_MD5}[name]
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(theirs, part, [[filename, md5[filename]] for filename, _ in getattr(theirs, part)])
    ours = load(name, root=tmp_path)
    for train, images, labels in ((True, ours.train_images, ours.train_labels), (False, ours.test_images, ours.test_labels)):
        other = theirs(tmp_path, train=train)
        assert (other.data.transpose(0, 3, 1, 2) == images).all()
        assert other.targets == labels.tolist()


def test_the_checksums_are_those_that_torchvision_publishes() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    assert dict(CIFAR10.train_list + CIFAR10.test_list) == cifar.CIFAR10_MD5
    assert dict(CIFAR100.train_list + CIFAR100.test_list) == cifar.CIFAR100_MD5


class Hostile:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_a_pickle_that_runs_something_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its checksum saves us here, which is made to be the published one, nor what it holds, which looks like a batch."""
    mark, path = tmp_path / "mark", tmp_path / "cifar-10-batches-py" / "data_batch_1"
    write_cifar10(tmp_path, monkeypatch)
    content = pickle.dumps(Hostile(str(mark)), protocol=2)[:-1] + b"0" + path.read_bytes()[2:]  # "0" drops the result
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=f"{path} is not the published file: its MD5 is {hashlib.md5(content).hexdigest()} instead"
    ):
        load("cifar10", root=tmp_path)
    monkeypatch.setitem(cifar.CIFAR10_MD5, path.name, hashlib.md5(content).hexdigest())
    assert len(load("cifar10", root=tmp_path).train_labels) == 50
    assert not mark.exists()
    pickle.loads(pickle.dumps(Hostile(str(mark)), protocol=2))  # noqa: S301 - it does run where somebody unpickles it
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no batch of CIFAR images"),
        (b"<html>", "is no batch of CIFAR images"),
        (gzip.compress(BATCH), "is no batch of CIFAR images"),
        (BATCH[:-1], "is no batch of CIFAR images: pickle exhausted before seeing STOP"),
        (BATCH[:5000], "is no batch of CIFAR images: expected 9216 bytes in a string4, but only"),
        (python2_batch(IMAGES, [7, 0], "labels"), r"holds 2 labels \(labels\) for 3 images"),
        (python2_batch(IMAGES, [7, 0, 1], "fine_labels"), r"holds 0 labels \(labels\) for 3 images"),
        (python2_batch(IMAGES[:, :-1].copy(), [7, 0, 1], "labels"), "is no batch of CIFAR images: cannot reshape"),
        (pickle.dumps({"labels": [1, 2, 3]}, protocol=2), "holds 0 labels"),
    ],
)
def test_what_is_wrong_with_a_batch_is_said_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} {message}") as caught:
        read_batch(path, "labels")
    assert "\n" not in str(caught.value)


def test_a_damaged_batch_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, monkeypatch)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path} is not the published file.*byzshield data prepare cifar10 --root {tmp_path}"):
        load("cifar10", root=tmp_path)
