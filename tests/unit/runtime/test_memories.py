"""Which of the adversary's notes stay: all that a checkpoint can ask for, and not many more."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from byzshield.attacks import Memory
from byzshield.config import RunConfig
from byzshield.runtime.memories import MemoryFolder
from byzshield.training import Memories

Maker = Callable[..., RunConfig]


def memory(step: int) -> Memory:
    return {"file": np.arange(step), "signs": np.full(3, -1, np.int8), "c": np.array(0.5 * step)}


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step_")) for path in folder.glob("worker_2/step_*.npz"))


@pytest.mark.parametrize("keep", [0, 1, 2])
@pytest.mark.parametrize("every", [0, 4, 10])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_run_that_goes_on_from_any_checkpoint_finds_the_newest_note_from_before(
    tiny_run: Maker, tmp_path: Path, keep: int, every: int, share: float
) -> None:
    config = tiny_run(run={"checkpoint_every": every, "keep_checkpoints": keep}, cluster={"max_skipped": 2})
    folder, last = MemoryFolder(tmp_path, config), 33
    noted = [step for step in range(1, last + 1) if np.random.default_rng(step).random() < share]
    for step in noted:
        folder.write(2, step, memory(step))
    stored = [step for step in range(1, last + 1) if every and step % every == 0][-keep or None :]
    # Those that stay, and where a job ends that is told to: after its last step, or before those that were skipped.
    for step in sorted({*stored, last - 2, last - 1, last}, reverse=True):
        newest = max(other for other in noted if other <= step)
        found = folder.read(2, before=step + 1)
        assert found is not None
        assert found[0] == newest
        expected = memory(newest)
        assert found[1].keys() == expected.keys()
        assert all(np.array_equal(found[1][name], expected[name]) for name in expected)
        assert steps_in(tmp_path)[-1] == newest  # what was noted of steps that are done again is gone


def test_notes_that_no_checkpoint_can_ask_for_are_removed(tiny_run: Maker, tmp_path: Path) -> None:
    for keep, expected in ((0, [10, 20, 26, 27, 28, 29, 30, 31]), (1, [20, 26, 27, 28, 29, 30, 31])):
        config = tiny_run(run={"checkpoint_every": 10, "keep_checkpoints": keep}, cluster={"max_skipped": 3})
        folder = MemoryFolder(tmp_path / str(keep), config)
        for step in range(1, 32):
            folder.write(2, step, memory(step))
        assert steps_in(tmp_path / str(keep)) == expected


def test_what_a_killed_process_has_half_written_is_removed(tiny_run: Maker, tmp_path: Path) -> None:
    folder = MemoryFolder(tmp_path, tiny_run())
    folder.write(2, 1, memory(1))
    part = tmp_path / "worker_2" / ".step_2.npz.0123abcd.part"
    part.write_bytes(b"half")
    folder.write(2, 2, memory(2))
    assert not part.exists()
    assert steps_in(tmp_path) == [1, 2]


def test_nothing_is_written_that_has_not_changed(tiny_run: Maker, tmp_path: Path) -> None:
    memories = Memories(MemoryFolder(tmp_path, tiny_run()))
    for step in range(1, 6):
        now = memories.before(step, 2)
        if step in (1, 4):
            now["file"] = np.array(step)
        memories.keep(step, 2, now)
    assert steps_in(tmp_path) == [1, 4]
    assert memories.before(3, 2)["file"] == 1  # done again
    assert steps_in(tmp_path) == [1]


def test_each_worker_has_a_memory_of_its_own(tiny_run: Maker, tmp_path: Path) -> None:
    memories = Memories(MemoryFolder(tmp_path, tiny_run()))
    memories.keep(1, 2, memory(1))
    assert memories.before(1, 5) == {}
    memories.keep(1, 5, memory(5))
    later = Memories(MemoryFolder(tmp_path, tiny_run()))
    assert float(later.before(2, 2)["c"]) == 0.5
    assert float(later.before(2, 5)["c"]) == 2.5
