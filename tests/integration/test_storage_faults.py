"""Processes that die at any moment, two jobs in one directory, and disks without room."""

import json
import subprocess
import sys
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from made_once import made_once
from needs import need, need_root

REPOSITORY = Path(__file__).parents[2]
HARNESS = REPOSITORY / "tests" / "storage_faults.py"


def seen(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One process for all kinds but the longest, since it takes seconds to import torch."""
    return seen_once(tmp_path_factory, "kill_overwrites", "kill_at_random", "start_together", "kill_convictions")


@pytest.fixture(scope="module")
def killed_saves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The longest; while it is at work, pytest-xdist's other processes go on with the tests that stand below the first of it."""
    found: dict[str, Any] = seen_once(tmp_path_factory, "kill_saves")["kill_saves"]
    return found


def seen_once(tmp_path_factory: pytest.TempPathFactory, *kinds: str) -> dict[str, Any]:
    """What one process saw of these kinds."""

    def make(folder: Path) -> None:
        (folder / "seen.json").write_text(json.dumps(seen([sys.executable, str(HARNESS), str(folder), *kinds])))

    found: dict[str, Any] = json.loads((made_once(tmp_path_factory, kinds[0], make) / "seen.json").read_text())
    return found


def test_a_run_that_is_killed_at_any_point_of_a_save_ends_as_if_it_had_not_been(killed_saves: dict[str, Any]) -> None:
    points = killed_saves["points"]
    assert killed_saves["wrong"] == {}
    assert len(points) > 30
    for word in ("open", "write", "sync", "os.rename"):
        assert any(point.startswith(f"{word} .step_1.pt" if word != "os.rename" else "os.rename step_1.pt") for point in points)


def test_a_full_disk_is_named_in_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    need_root()
    need("unshare", "mount")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("this container may not mount anything")
    shell = f"mount -t tmpfs -o size=400k tmpfs '{tmp_path}' && exec '{sys.executable}' '{HARNESS}' '{tmp_path}' fill_the_disk"
    rows = seen(["unshare", "--mount", "--propagation", "private", "bash", "-euc", shell])["fill_the_disk"]["seen"]
    named = set()
    for _, status, errors, half, cut, wrong in rows:
        lines = [line for line in errors.splitlines() if line.startswith("byzshield: ")]
        assert "Traceback" not in errors
        assert not half
        assert not cut
        assert wrong == []  # after the run had room and was resumed
        assert len(lines) == (status != 0)
        for line in lines:
            path, _, reason = line.rpartition(" cannot be written: ")
            assert reason == "No space left on device"
            named.add((status, Path(path).name.partition(".out.tfevents.")[0]))
    records = ("placement.json", "jobs.jsonl", "agreement.json")
    files = ("metrics.jsonl", "metrics.csv", "events", "step_1.pt", "step_2.pt", "summary.json", *records)
    assert named == {(2, "config.toml"), *((1, name) for name in files)}


def test_an_overwrite_that_is_killed_at_any_point_can_be_repeated(faults: dict[str, Any]) -> None:
    assert faults["kill_overwrites"]["wrong"] == {}
    assert len(faults["kill_overwrites"]["points"]) > 8


def test_of_proofs_that_were_found_together_all_are_noted_or_none(faults: dict[str, Any]) -> None:
    found = faults["kill_convictions"]["found"]
    assert found == sorted(found)
    assert set(found) == {0, 1, 3}


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(faults: dict[str, Any]) -> None:
    assert faults["kill_at_random"]["wrong"] == []
    assert faults["kill_at_random"]["kills"] >= 1


@pytest.mark.parametrize("word", ["resume", "overwrite"])
def test_of_two_jobs_that_start_at_once_one_is_told_who_the_other_is(faults: dict[str, Any], word: str) -> None:
    (winner, welcome), (_, refusal) = sorted(faults["start_together"][word], key=lambda answer: answer[1])
    assert welcome == ""
    assert f"is in use by process {winner} on {gethostname()}; wait until it has ended" in refusal


def test_from_the_first_checkpoint_on_there_is_always_a_whole_one(killed_saves: dict[str, Any]) -> None:
    points, sound = killed_saves["points"], killed_saves["sound"]
    named = points.index("os.rename step_1.pt") + 1
    assert not any(sound[:named])
    assert all(sound[named:])


def test_an_old_checkpoint_goes_only_when_the_new_one_and_its_steps_are_on_disk(killed_saves: dict[str, Any]) -> None:
    points = killed_saves["points"]
    start = len(points) - 1 - points[::-1].index("write metrics.jsonl")
    # Who voted alike is stored in between, in the run's folder.
    stored = [point for point in points[start:] if "agreement.json" not in point and point != "sync run"]
    names = [point.partition(".pt.")[0] for point in stored]
    assert names[: names.index("os.remove step_1.pt") + 1] == [
        "write metrics.jsonl",
        "sync metrics.jsonl",
        "os.mkdir checkpoints",
        "open .step_2",
        "write .step_2",
        "sync .step_2",
        "os.rename step_2.pt",
        "sync checkpoints",
        "os.remove step_1.pt",
    ]
