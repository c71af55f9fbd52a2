"""Every registered data set, through every property that a data set must have; from small files in the genuine formats."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import need_fashion_mnist
from published_files import write_cifar10, write_cifar100, write_mnist, write_svhn

from byzshield.data import DATASETS, FileSampler, crop_and_flip, load, mnist, mnist5k
from byzshield.errors import ConfigError, DataError, ParameterError

NAMES = ("cifar10", "cifar100", "fashion_mnist", "mnist", "mnist5k", "svhn", "synthetic")
FROM_FILES = ("cifar10", "cifar100", "fashion_mnist", "mnist", "svhn")


@pytest.fixture(params=NAMES, scope="module")
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    name, root = request.param, tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as monkeypatch:
        if name == "fashion_mnist":
            need_fashion_mnist()
        elif name == "mnist":
            write_mnist(root / "MNIST" / "raw", mnist.MNIST_MD5, monkeypatch)
        elif name in FROM_FILES:
            {"cifar10": write_cifar10, "cifar100": write_cifar100, "svhn": write_svhn}[name](root, monkeypatch)
        yield load(name, root=root)


def test_every_registered_data_set_is_tested() -> None:
    assert set(DATASETS.names()) == {*NAMES, "arrays"}  # which has no images of its own: tests/unit/data/test_array_dataset.py


def test_images_and_labels_fit_together(dataset: Any) -> None:
    for images, labels in ((dataset.train_images, dataset.train_labels), (dataset.test_images, dataset.test_labels)):
        assert images.dtype == np.uint8
        assert images.shape == (len(labels), *dataset.image_shape)
        assert labels.dtype == np.int64
        assert set(labels) == set(range(dataset.num_classes))


def test_normalized_images_are_centered_floats(dataset: Any) -> None:
    images = dataset.normalize(dataset.train_images[:50])
    assert images.dtype.is_floating_point
    by_hand = (dataset.train_images[0, 0, 0, 0] / 255 - dataset.mean[0]) / dataset.std[0]
    assert float(images[0, 0, 0, 0]) == pytest.approx(by_hand, rel=1e-4, abs=1e-5)


def test_the_published_transforms_are_those_of_each_data_set(dataset: Any, request: pytest.FixtureRequest) -> None:
    """Means and deviations in the units in which they are published: of 255 for CIFAR, of 1 for the others."""
    cifar = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7), 255, "reflect")
    published = {
        "cifar10": cifar,
        "cifar100": cifar,
        "svhn": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), 1, "constant"),
        "mnist": ((0.1307,), (0.3081,), 1, "reflect"),
        "mnist5k": ((0.1307,), (0.3081,), 1, "reflect"),
        "fashion_mnist": ((0.2860,), (0.3530,), 1, "reflect"),
        "synthetic": ((0.5,), (0.3,), 1, "reflect"),
    }
    mean, std, unit, padding_mode = published[request.node.callspec.params["dataset"]]
    assert dataset.mean == tuple(value / unit for value in mean)
    assert dataset.std == tuple(value / unit for value in std)
    assert dataset.padding_mode == padding_mode


def test_each_data_set_knows_where_its_images_are(dataset: Any, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["dataset"]
    if name in FROM_FILES:
        place = Path(dataset.location.removeprefix("mapped from "))
        assert place.name == name
        assert (place / "train_images.npy").stat().st_size == dataset.train_images.nbytes + 128
    else:
        assert "mapped" not in dataset.location


def test_mnist5k_is_split_equally_and_never_differently(tmp_path: Path) -> None:
    first, again = load("mnist5k", root=tmp_path), load("mnist5k", root=tmp_path)
    assert np.bincount(first.train_labels).tolist() == [400] * 10
    assert np.bincount(first.test_labels).tolist() == [100] * 10
    assert first.test_images.tobytes() == again.test_images.tobytes()
    train, test = ({image.tobytes() for image in images} for images in (first.train_images, first.test_images))
    assert not train & test


def test_mnist5k_is_the_same_images_in_the_same_order_for_ever() -> None:
    """Weights depend on it; a new version of the file may be compressed differently, and hold nothing else."""
    dataset = load("mnist5k", root=Path())
    arrays = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    assert digest == "07d0a5aa6758d8651e4c805cd162c77ff96d4563e14c86094785c128942217e5"


def test_mnist5k_needs_no_folder_and_leaves_nothing_there(tmp_path: Path) -> None:
    load("mnist5k", root=tmp_path, download=True)
    load("mnist5k", root=tmp_path / "missing")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", [0, 400_000, -1])
def test_a_package_whose_images_are_damaged_says_so(place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(mnist5k.FILE.read_bytes())
    content[place] ^= 1
    damaged = tmp_path / "mnist5k.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(mnist5k, "FILE", damaged)
    with pytest.raises(DataError, match=f"{damaged} is damaged.*install byzshield again"):
        load("mnist5k", root=tmp_path)
    damaged.unlink()
    with pytest.raises(DataError, match=f"{damaged} cannot be read"):
        load("mnist5k", root=tmp_path)


@pytest.mark.parametrize("name", FROM_FILES)
def test_missing_files_say_how_to_get_them(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(
        DataError, match=f"{tmp_path}.* is missing; mend it with: byzshield data prepare {name} --root {tmp_path}$"
    ):
        load(name, root=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": [3, 3]}, "image_shape must be three positive numbers"),
        ({"image_shape": [1, 0, 3]}, "image_shape must be three positive numbers"),
        ({"num_train": 0}, "num_train must be at least 1; got 0"),
        ({"num_test": -1}, "num_test must be at least 1; got -1"),
        ({"num_classes": 0}, "num_classes must be at least 1; got 0"),
        ({"num_classes": 1001}, "num_classes must not exceed num_train"),
        ({"num_train": 10**12}, "must fit into 4 GiB"),
        ({"image_shape": [1, 10**6, 10**6]}, "must fit into 4 GiB"),
        ({"noise": -1.0}, "noise must be between 0 and 1000"),
        ({"noise": 1001.0}, "noise must be between 0 and 1000"),
        ({"noise": float("nan")}, "noise must be between 0 and 1000"),
    ],
)
def test_synthetic_sizes_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        load("synthetic", root=Path(), **options)


def test_an_epoch_uses_every_sample_at_most_once_and_epochs_differ() -> None:
    sampler = FileSampler(num_samples=100, batch_size=30, num_files=5, seed=1)
    epochs = [np.concatenate([sampler.indices(3 * epoch + step).ravel() for step in (1, 2, 3)]) for epoch in range(3)]
    assert all(len(set(epoch.tolist())) == 90 for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert sampler.indices(1).shape == (5, 6)


def test_sampling_depends_on_seed_and_step_alone() -> None:
    forwards = FileSampler(num_samples=100, batch_size=30, num_files=5, seed=1)
    backwards = FileSampler(num_samples=100, batch_size=30, num_files=5, seed=1)
    wanted = {step: forwards.indices(step).tolist() for step in range(1, 9)}
    assert wanted == {step: backwards.indices(step).tolist() for step in reversed(range(1, 9))}
    assert FileSampler(num_samples=100, batch_size=30, num_files=5, seed=2).indices(1).tolist() != wanted[1]


@pytest.mark.parametrize(("batch_size", "words"), [(31, "use 30"), (2, "use 5"), (105, "must not exceed")])
def test_batches_that_cannot_be_cut_are_refused(batch_size: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FileSampler(num_samples=100, batch_size=batch_size, num_files=5, seed=1)


def test_cropping_keeps_shape_and_repeats_with_the_stream() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    ours = crop_and_flip(images, np.random.default_rng(5))
    assert ours.shape == images.shape
    assert ours.tobytes() == crop_and_flip(images, np.random.default_rng(5)).tobytes()
    assert ours.tobytes() != crop_and_flip(images, np.random.default_rng(6)).tobytes()
    without = crop_and_flip(images, np.random.default_rng(5), padding=0)
    flipped = [bool((without[row] == images[row, :, :, ::-1]).all()) for row in range(40)]
    assert all(flip or (without[row] == images[row]).all() for row, flip in enumerate(flipped))
    assert 5 < sum(flipped) < 35


def test_padding_with_zeros_shifts_the_same_crops_as_padding_by_reflection() -> None:
    images = np.random.default_rng(0).integers(1, 256, (40, 3, 16, 16), dtype=np.uint8)
    reflected = crop_and_flip(images, np.random.default_rng(5), mode="reflect")
    zeros = crop_and_flip(images, np.random.default_rng(5), mode="constant")
    assert (zeros == 0).any()
    assert not (reflected == 0).any()
    assert (zeros[zeros > 0] == reflected[zeros > 0]).all()
    assert reflected.tobytes() == crop_and_flip(images, np.random.default_rng(5)).tobytes()
