"""Arrays on disk that all processes of a host map: never half-written, never damaged, made once."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from byzshield.data import image_cache
from byzshield.data.image_cache import Images, map_images

SOURCES = {"images": "0123"}
FILES = [f"{field}.npy" for field in Images._fields]


class Reader:
    """Makes the same images at each call, and counts the calls."""

    def __init__(self, value: int = 7) -> None:
        self.calls = 0
        images, labels = np.full((9, 1, 4, 4), value, np.uint8), np.arange(9)
        self.images = Images(images, labels, images[:3], labels[:3])

    def __call__(self) -> Images:
        self.calls += 1
        return self.images


def same(ours: Images, theirs: Images) -> bool:
    return all(np.array_equal(mine, yours) and mine.dtype == yours.dtype for mine, yours in zip(ours, theirs, strict=True))


def test_the_second_start_maps_what_the_first_has_written(tmp_path: Path) -> None:
    reader = Reader()
    for _ in range(3):
        images, place = map_images("some", folders=[tmp_path], sources=SOURCES, read=reader)
        assert same(images, reader.images)
        assert place == tmp_path / "some"
        assert not any(array.flags.writeable for array in images)
        assert all(isinstance(array.base, np.memmap) for array in images)
    assert reader.calls == 1


def test_arrays_that_were_made_of_other_files_are_made_again(tmp_path: Path) -> None:
    map_images("some", folders=[tmp_path], sources={"images": "4567"}, read=Reader(1))
    images, _ = map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader(2))
    assert images.train_images[0, 0, 0, 0] == 2


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "another": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(200)),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("filename", [*FILES, "index.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again(filename: str, damage: str, tmp_path: Path) -> None:
    reader = Reader()
    map_images("some", folders=[tmp_path], sources=SOURCES, read=reader)
    DAMAGES[damage](tmp_path / "some" / filename)
    images, place = map_images("some", folders=[tmp_path], sources=SOURCES, read=reader)
    assert (reader.calls, place) == (2, tmp_path / "some")
    assert same(images, reader.images)
    map_images("some", folders=[tmp_path], sources=SOURCES, read=reader)
    assert reader.calls == 2


@pytest.mark.parametrize("index", ["[]", "{}", "null", '{"format": 1, "sources": {"images": "0123"}}', '{"format": 2}'])
def test_an_index_that_is_none_does_not_count(index: str, tmp_path: Path) -> None:
    map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader(1))
    (tmp_path / "some" / "index.json").write_text(index)
    images, _ = map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader(2))
    assert images.train_images[0, 0, 0, 0] == 2


def test_arrays_of_an_older_format_are_made_again(tmp_path: Path) -> None:
    map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader(1))
    path = tmp_path / "some" / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))
    images, _ = map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader(2))
    assert images.train_images[0, 0, 0, 0] == 2


def start_together(count: int, folder: Path, reader: Reader) -> list[Images]:
    """Each thread opens the lock for itself, so that a lock keeps threads apart as it does processes."""
    barrier, results = threading.Barrier(count), []

    def start() -> None:
        barrier.wait(timeout=60)
        results.append(map_images("some", folders=[folder], sources=SOURCES, read=reader)[0])

    threads = [threading.Thread(target=start) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def test_of_several_that_start_at_once_one_reads(tmp_path: Path) -> None:
    reader = Reader()
    results = start_together(8, tmp_path, reader)
    assert len(results) == 8
    assert all(same(images, reader.images) for images in results)
    assert reader.calls == 1


def test_without_locks_several_write_and_all_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(image_cache.fcntl, "flock", refuse)
    reader = Reader()
    results = start_together(8, tmp_path, reader)
    assert len(results) == 8
    assert all(same(images, reader.images) for images in results)
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == sorted([*FILES, "index.json", "lock"])


def test_what_a_process_left_that_was_killed_while_writing_does_not_count(tmp_path: Path) -> None:
    code = """if True:
        import os, sys
        from pathlib import Path
        import numpy as np
        from byzshield.data.image_cache import Images, map_images
        def killed(file, array, allow_pickle):
            file.write(b"half")
            file.flush()
            if "test_images" in file.name:
                os.kill(os.getpid(), 9)
        np.save = killed
        images, labels = np.zeros((9, 1, 4, 4), np.uint8), np.arange(9)
        read = lambda: Images(images, labels, images, labels)
        map_images("some", folders=[Path(sys.argv[1])], sources={"images": "0123"}, read=read)
    """
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    left = {path.name for path in (tmp_path / "some").iterdir()}
    assert "train_images.npy" in left
    assert "index.json" not in left
    reader = Reader()
    images, _ = map_images("some", folders=[tmp_path], sources=SOURCES, read=reader)
    assert same(images, reader.images)


def test_the_next_folder_is_taken_where_the_first_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folders, reader = [tmp_path / "file" / "arrays", tmp_path / "arrays"], Reader()
    for _ in range(2):
        images, place = map_images("some", folders=folders, sources=SOURCES, read=reader)
        assert same(images, reader.images)
        assert place == tmp_path / "arrays" / "some"
    assert reader.calls == 1


def test_a_disk_that_is_full_costs_the_map_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_cache.np, "save", full)
    reader = Reader()
    with caplog.at_level(logging.INFO, logger="byzshield"):
        images, place = map_images("some", folders=[tmp_path / "a", tmp_path / "b"], sources=SOURCES, read=reader)
    assert place is None
    assert same(images, reader.images)
    assert reader.calls == 1
    assert "No space left on device" in caplog.text
    assert "each process holds its own copy of the images of some" in caplog.text
    assert not list(tmp_path.glob("*/some/*.npy"))
    assert not list(tmp_path.glob("*/some/.*"))


def test_a_folder_that_is_read_only_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root may write everywhere, what would write is taken away instead."""
    map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader())
    monkeypatch.setattr(image_cache, "atomic_write", None)
    monkeypatch.setattr(image_cache, "_locked", None)
    _, place = map_images("some", folders=[tmp_path], sources=SOURCES, read=Reader())
    assert place == tmp_path / "some"
