"""Published data sets: mended where they can be, and one line where they cannot."""

import gzip
import hashlib
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from needs import need_fashion_mnist
from published_files import write_cifar10, write_mnist, write_svhn

from byzshield.cli.main import main
from byzshield.config import RunConfig
from byzshield.config.schema import DataSection
from byzshield.data import load, mnist
from byzshield.data.published import check_md5
from byzshield.errors import DataError
from byzshield.runtime import simulate

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All servers are on this machine, and there is none."""
    from torchvision import datasets

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.MNIST, "mirrors", [NOWHERE, NOWHERE])
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [NOWHERE])
    for dataset in (datasets.CIFAR10, datasets.CIFAR100):
        monkeypatch.setattr(dataset, "url", f"{NOWHERE}{dataset.filename}")
    splits = {split: [f"{NOWHERE}{name}", name, md5] for split, (_, name, md5) in datasets.SVHN.split_list.items()}
    monkeypatch.setattr(datasets.SVHN, "split_list", splits)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_address[1]}/"
        http.shutdown()
        thread.join()


def serve_mnist(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gzipped files on the second of two mirrors."""
    from torchvision.datasets import MNIST

    write_mnist(folder, mnist.MNIST_MD5, monkeypatch)
    resources = []
    for filename in mnist.MNIST_MD5:
        zipped = gzip.compress((folder / filename).read_bytes(), mtime=0)
        (folder / f"{filename}.gz").write_bytes(zipped)
        resources.append((f"{filename}.gz", hashlib.md5(zipped).hexdigest()))
    monkeypatch.setattr(MNIST, "mirrors", [NOWHERE, address])
    monkeypatch.setattr(MNIST, "resources", resources)


def test_prepare_fetches_checks_and_maps(
    server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_mnist(*server, monkeypatch)
    root = tmp_path / "new" / "root"
    assert main(["data", "prepare", "mnist", "--root", str(root)]) == 0
    place = root / "arrays" / "mnist"
    assert capsys.readouterr().out == f"mnist: 60 images to train, 20 to test, 1 x 28 x 28, mapped from {place}\n"
    assert (place / "train_images.npy").is_file()


@pytest.mark.parametrize("damage", [b"", b"<html>"])
def test_prepare_mends_what_load_refuses(
    damage: bytes, server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_mnist(*server, monkeypatch)
    path = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    write_mnist(path.parent, mnist.MNIST_MD5, monkeypatch)
    path.write_bytes(damage)
    with pytest.raises(DataError, match=f"{path} is no IDX file.*mend it with: byzshield data prepare mnist --root {tmp_path}$"):
        load("mnist", root=tmp_path)
    assert load("mnist", root=tmp_path, download=True).train_labels.tolist() == [*range(10)] * 6
    assert load("mnist", root=tmp_path).location == f"mapped from {tmp_path / 'arrays' / 'mnist'}"


def test_mnist_is_found_in_the_older_layout_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "mnist_data" / "raw", mnist.MNIST_MD5, monkeypatch)
    assert load("mnist", root=tmp_path / "mnist_data").num_train == 60


def test_what_a_server_sends_instead_of_the_published_file_is_not_used(
    server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_mnist(*server, monkeypatch)
    (server[0] / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    assert main(["data", "prepare", "mnist", "--root", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert " mnist cannot be fetched (File not found or corrupted.); run this where" in captured.err
    assert not (tmp_path / "arrays" / "mnist" / "index.json").exists()


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist", "mnist", "svhn"])
def test_without_a_network_prepare_ends_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mnist, "DEBIAN", tmp_path / "debian")
    assert main(["data", "prepare", name, "--root", str(tmp_path / "root")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"byzshield: {tmp_path / 'root'}/")  # the first file that is missing, and so where it belongs
    assert f" is missing; {name} cannot be fetched (" in captured.err
    assert "Connection refused" in captured.err
    assert captured.err.endswith(f"or copy its files into {tmp_path / 'root'}\n")


def test_an_archive_that_lies_there_is_unpacked_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torchvision.datasets import CIFAR10

    write_cifar10(tmp_path, monkeypatch)
    archive = tmp_path / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / CIFAR10.base_folder, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    (tmp_path / CIFAR10.base_folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match=f"{tmp_path / CIFAR10.base_folder / 'data_batch_3'} is missing"):
        load("cifar10", root=tmp_path)
    assert main(["data", "prepare", "cifar10", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("cifar10: 50 images to train, 10 to test, 3 x 32 x 32, mapped from")


def test_a_fetched_file_of_svhn_is_read(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import SVHN

    from byzshield.data import svhn

    folder, address = server
    write_svhn(folder, monkeypatch)
    monkeypatch.setattr(SVHN, "split_list", {"train": None, "test": None})
    for split in SVHN.split_list:
        name = f"{split}_32x32.mat"
        monkeypatch.setitem(SVHN.split_list, split, [f"{address}{name}", name, svhn.MD5[name]])
    assert load("svhn", root=tmp_path, download=True).train_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] * 2


@pytest.mark.parametrize(
    ("name", "words"), [("mnist5k", "which come with byzshield"), ("synthetic", "made anew by each process")]
)
def test_prepare_claims_no_folder_where_nothing_is(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "prepare", name]) == 0
    assert capsys.readouterr().out.endswith(f"1 x 28 x 28, {words}\n")
    assert not (tmp_path / "cache").exists()


def test_labels_of_other_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "MNIST" / "raw"
    write_mnist(folder, mnist.MNIST_MD5, monkeypatch)
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes((folder / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(DataError, match=f"{path} is not the published file"):
        load("mnist", root=tmp_path)
    monkeypatch.setitem(mnist.MNIST_MD5, path.name, mnist.MNIST_MD5["t10k-labels-idx1-ubyte"])
    with pytest.raises(DataError, match=f"{path} holds 20 labels for 60 images"):
        load("mnist", root=tmp_path)


def test_the_real_fashion_mnist_is_read_from_debian_s_package(tmp_path: Path) -> None:
    need_fashion_mnist()
    dataset = load("fashion_mnist", root=tmp_path)
    assert dataset.train_images.shape == (60_000, 1, 28, 28)
    assert dataset.test_images.shape == (10_000, 1, 28, 28)
    assert np.bincount(dataset.train_labels).tolist() == [6000] * 10
    assert np.bincount(dataset.test_labels).tolist() == [1000] * 10
    pixels = dataset.train_images / 255
    assert (round(float(pixels.mean()), 4), round(float(pixels.std()), 4)) == (dataset.mean[0], dataset.std[0])


def test_files_under_root_come_before_debian_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "FashionMNIST" / "raw", mnist.FASHION_MNIST_MD5, monkeypatch)
    assert len(load("fashion_mnist", root=tmp_path).train_labels) == 60


def test_a_run_names_the_file_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text('[cluster]\nnum_workers = 15\n[data]\nname = "cifar100"\n[placement]\nreplication = 3\n')
    words = ["--set", f"run.output_dir={tmp_path / 'runs'}", "--set", f"data.root={tmp_path}"]
    assert main(["simulate", str(run_file), *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert f"{tmp_path / 'cifar-100-python' / 'train'} is missing; mend it with: byzshield data prepare cifar100" in captured.err


def test_mapped_images_train_the_same_weights_as_images_in_memory(
    tiny_run: Callable[..., RunConfig],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Evaluation included; torch warns, which is an error here, where it is handed memory that is read-only."""
    write_mnist(tmp_path / "MNIST" / "raw", mnist.MNIST_MD5, monkeypatch)
    run = tiny_run(model={"name": "mlp", "hidden": [8]})
    run = replace(run, data=DataSection(name="mnist", root=str(tmp_path), batch_size=50, augment=True))
    mapped = weights_of(simulate(run)[0].path)
    assert (tmp_path / "arrays" / "mnist" / "index.json").is_file()
    shutil.rmtree(tmp_path / "arrays")
    for folder in (tmp_path, tmp_path / "cache" / "byzshield"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "arrays").write_text("a file where the folder would be")
    assert "each process" in load("mnist", root=tmp_path).location
    assert same_weights(mapped, weights_of(simulate(run, overwrite=True)[0].path))


def test_check_md5_says_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        check_md5(tmp_path, "0")
