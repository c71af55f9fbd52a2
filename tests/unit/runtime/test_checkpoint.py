"""Checkpoints: damage is seen, older ones stand in, and as many stay as are asked for."""

import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from byzshield.errors import CheckpointError, DamagedCheckpointError
from byzshield.runtime.checkpoint import all_checkpoints, load_checkpoint, newest_sound, save_checkpoint


def state(step: int) -> dict[str, Any]:
    return {"step": step, "model": {"weight": torch.arange(100.0) * step}, "rule": {}, "scheduler": None}


def save(folder: Path, *steps: int, **options: Any) -> list[Path]:
    return [save_checkpoint(folder, state(step), configuration="c", **options) for step in steps]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    (path,) = save(tmp_path, 3)
    loaded = load_checkpoint(path, configuration="c")
    assert loaded["step"] == 3
    assert torch.equal(loaded["model"]["weight"], state(3)["model"]["weight"])


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    (path,) = save(tmp_path, 1)
    bits = 8 * path.stat().st_size
    ends = [*range(8), *range(bits - 8 * 60, bits)]  # the end has the digest, and says that there is one
    for bit in [*random.Random(1).sample(range(bits), 200), *ends]:
        flip(path, bit)
        with pytest.raises(DamagedCheckpointError, match=r"step_1\.pt is damaged or cut short"):
            load_checkpoint(path)
        flip(path, bit)
    load_checkpoint(path)


def test_every_shorter_file_is_seen(tmp_path: Path) -> None:
    (path,) = save(tmp_path, 1)
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), *range(len(content) - 60, len(content))]:
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpointError, match=r"step_1\.pt"):
            load_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedCheckpointError, match=r"step_1\.pt"):
        load_checkpoint(path)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_checkpoint_is_a_plain_file_of_torch(tmp_path: Path, mapped: bool) -> None:
    (path,) = save(tmp_path, 2)
    loaded = torch.load(path, weights_only=True, mmap=mapped)
    assert torch.equal(loaded["model"]["weight"], state(2)["model"]["weight"])
    assert zipfile.ZipFile(path).testzip() is None


def test_one_without_a_checksum_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "step_1.pt"
    torch.save({**state(1), "configuration": "c"}, path)
    assert load_checkpoint(path)["step"] == 1
    assert "step_1.pt has no checksum" in caplog.text


def test_the_newest_that_is_not_damaged_is_used_and_each_newer_one_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = save(tmp_path, 9, 10, 11)
    flip(second, 4000)
    third.write_bytes(third.read_bytes()[:500])
    found = newest_sound(tmp_path, configuration="c")
    assert found is not None
    assert found[0] == first
    assert [record.message.split(" is damaged")[0] for record in caplog.records] == [str(third), str(second)]
    assert all(record.message.endswith("step_9.pt is used in its place") for record in caplog.records)


def test_when_none_is_left_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in save(tmp_path, 1, 2):
        flip(path, 4000)
    with pytest.raises(CheckpointError, match=r"step_2\.pt is damaged.*, and so are the 1 before it; .* --overwrite"):
        newest_sound(tmp_path, configuration="c")
    assert caplog.records == []
    assert newest_sound(tmp_path / "empty", configuration="c") is None


def test_another_configuration_is_no_damage(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    with pytest.raises(CheckpointError, match=r"step_2\.pt belongs to a run with another configuration"):
        newest_sound(tmp_path, configuration="d")


@pytest.mark.parametrize(("keep", "left"), [(0, [1, 2, 3, 12]), (1, [12]), (3, [2, 3, 12]), (9, [1, 2, 3, 12])])
def test_as_many_checkpoints_stay_as_are_asked_for(tmp_path: Path, keep: int, left: list[int]) -> None:
    save(tmp_path, 1, 2, 3, 12, keep=keep)
    assert [step for step, _ in all_checkpoints(tmp_path)] == left


def test_one_of_a_later_step_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, 2, 8)  # of which 8 is damaged, so that the run went on from 2
    save(tmp_path, 3, keep=1)
    assert [step for step, _ in all_checkpoints(tmp_path)] == [3, 8]


def test_nothing_goes_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    save(tmp_path, 1, keep=1)
    (tmp_path / "step_2.pt").mkdir()
    with pytest.raises(OSError, match=r"step_2\.pt cannot be written: Is a directory"):
        save(tmp_path, 2, keep=1)
    load_checkpoint(tmp_path / "step_1.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_1.pt", "step_2.pt"]
