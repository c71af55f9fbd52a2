"""A run's lines as a table, as events and for Prometheus: what is in them, also after a disk was full or a run resumed."""

import csv
import json
import logging
import os
import re
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from byzshield.config import RunConfig
from byzshield.errors import ConfigError, StorageError
from byzshield.runtime import loop, simulate
from byzshield.runtime.checkpoint import all_checkpoints
from byzshield.runtime.metrics import read_metrics
from byzshield.runtime.run_directory import RunDirectory
from byzshield.runtime.writers import CSVFile, EventFile, PrometheusFile, Writers
from byzshield.runtime.writers.csv_file import COLUMNS
from byzshield.runtime.writers.event_file import stored_events

Maker = Callable[..., RunConfig]
# What tensorboard 2.21 writes of its own `Event`s: a version at time 1.5, and at step 300 "loss" = 0.25 and "applied" = 1.
THEIR_VERSION = bytes.fromhex("1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c")
THEIR_EVENT = bytes.fromhex(
    "2b00000000000000861bc34b09000000000000f83f10ac022a1d0a0b0a046c6f7373150000803e0a0e0a076170706c696564150000803fef1fca46"
)


class Clock:
    """The time of day, as the test says."""

    now = 1.5

    def __call__(self) -> float:
        return self.now


def line(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "seconds": 0.25, "bytes_received": 1000, "applied": True, "loss": 1 / step, **more}


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Lets no file of this process grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_says_what_the_lines_say(tmp_path: Path) -> None:
    lines = [line(1, blamed={"3": {"minority": 2}}), line(2, loss=None, applied=False, reason='a "comma", and\na break')]
    CSVFile(tmp_path / "metrics.csv", lines).close()
    first, second = table(tmp_path / "metrics.csv")
    assert json.loads(first["blamed"]) == {"3": {"minority": 2}}
    assert (float(first["loss"]), first["applied"], first["reason"]) == (1.0, "true", "")
    assert (second["loss"], second["applied"], second["reason"]) == ("", "false", 'a "comma", and\na break')
    assert tuple(first) == COLUMNS


def test_a_column_that_turns_up_late_is_the_last_and_moves_no_other(tmp_path: Path) -> None:
    path, lines = tmp_path / "metrics.csv", [line(1)]
    file = CSVFile(path, lines)
    for more in ({}, {"test_mean_squared_error": 0.5}, {}, {"a_metric_of_ones_own": 2}):
        lines.append(line(len(lines) + 1, **more))
        file.write(lines)
        assert [row["step"] for row in table(path)] == [str(each["step"]) for each in lines]
    assert tuple(table(path)[0]) == (*COLUMNS, "test_mean_squared_error", "a_metric_of_ones_own")
    assert [row["test_mean_squared_error"] for row in table(path)] == ["", "", "0.5", "", ""]
    file.close()
    CSVFile(tmp_path / "again.csv", lines).close()
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_events_are_those_that_tensorboard_itself_would_write(tmp_path: Path) -> None:
    EventFile(
        tmp_path, [{"step": 300, "loss": 0.25, "applied": True, "reason": "no number", "test_loss": None}], clock=Clock()
    ).close()
    (path,) = tmp_path.iterdir()
    assert "tfevents" in path.name
    assert path.read_bytes() == THEIR_VERSION + THEIR_EVENT


def test_a_number_beyond_float32_is_the_largest_there_is(tmp_path: Path) -> None:
    EventFile(tmp_path, [{"step": 1, "loss": 1e39}]).close()
    (path,) = tmp_path.iterdir()
    ((_, record),) = stored_events(path.read_bytes())
    assert struct.pack("<f", 3.4028234663852886e38) in record


def test_events_of_a_resumed_run_keep_their_time_and_those_that_were_undone_are_gone(tmp_path: Path) -> None:
    clock, lines = Clock(), [line(1), line(2), line(3)]
    file = EventFile(tmp_path, [], clock=clock)
    for number in (1, 2, 3):
        clock.now = 100.0 * number
        file.write(lines[:number])
    file.close()
    clock.now = 1000.0
    resumed = EventFile(tmp_path, lines[:2], clock=clock)
    resumed.write([*lines[:2], line(3, loss=5.0)])
    resumed.close()
    (path,) = tmp_path.iterdir()
    events = list(stored_events(path.read_bytes()))
    assert [(step, struct.unpack_from("<d", record, 13)[0]) for step, record in events] == [(1, 100.0), (2, 200.0), (3, 1000.0)]
    assert struct.pack("<f", 5.0) in events[-1][1]


def test_damaged_events_are_written_anew(tmp_path: Path) -> None:
    EventFile(tmp_path, [line(1), line(2)], clock=Clock()).close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:60] + b"x" + whole[61:], b"", b"\xff" * 40):
        path.write_bytes(damaged)
        EventFile(tmp_path, [line(1), line(2)], clock=Clock()).close()
        assert path.read_bytes() == whole


SAMPLE = re.compile(r'(byzshield_[a-z0-9_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (\S+)')


def samples(path: Path) -> dict[str, float]:
    """Of a file in the text format, by name and labels but for the run; each name has one type, and its samples follow it."""
    found: dict[str, float] = {}
    typed: list[str] = []
    for text in path.read_text().splitlines():
        if text.startswith("#"):
            _, word, name, rest = text.split(" ", 3)
            if word == "TYPE":
                assert rest in ("gauge", "counter")
                assert name not in typed
                typed.append(name)
            continue
        match = SAMPLE.fullmatch(text)
        assert match, text
        assert match[1] == typed[-1]
        assert match[1].endswith("_total") == (f"# TYPE {match[1]} counter" in path.read_text())
        labels = match[2].partition(",")[2]
        found[match[1].removeprefix("byzshield_") + (f"{{{labels}}}" if labels else "")] = float(match[3])
    return found


def test_prometheus_finds_gauges_of_the_newest_step_and_counters_over_all(tmp_path: Path) -> None:
    clock, lines = Clock(), [line(1, blamed={"3": {"minority": 2}}), line(2, **{"test_error@1": 0.5})]
    path = tmp_path / "run.prom"
    file = PrometheusFile(path, lines, run='a "b" \\ c', steps=9, clock=clock)
    clock.now = 100.0
    lines += [line(3, loss=None, applied=False, blamed={"3": {"minority": 1, "malformed": 1}})]
    file.write(lines)
    found = samples(path)
    assert (found["step"], found["steps"], found["running"], found["last_step_timestamp_seconds"]) == (3, 9, 1, 100.0)
    assert (found["last_loss"], found["last_test_error_1"]) == (0.5, 0.5)
    assert (found["bytes_received_total"], found["skipped_steps_total"]) == (3000, 1)
    assert found['faults_total{worker="3",cause="minority",proof="false"}'] == 3
    assert found['faults_total{worker="3",cause="malformed",proof="true"}'] == 1
    assert '{run="a \\"b\\" \\\\ c"}' in path.read_text()


def test_prometheus_file_is_not_written_at_every_step_but_at_the_end(tmp_path: Path) -> None:
    clock, lines = Clock(), [line(1)]
    file = PrometheusFile(tmp_path / "run.prom", lines, run="r", steps=9, clock=clock)
    lines += [line(2)]
    clock.now += 1
    file.write(lines)
    assert samples(tmp_path / "run.prom")["step"] == 1
    file.write(lines, ended=True)
    found = samples(tmp_path / "run.prom")
    assert (found["step"], found["running"]) == (2, 0)


ALL = {"csv": True, "tensorboard": True, "prometheus": True}


def test_a_full_disk_is_a_warning_and_what_it_cost_is_written_when_there_is_room(
    tiny_run: Maker, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("byzshield"), "propagate", True)  # the command line may have ended that
    lines: list[dict[str, Any]] = [line(1)]
    writers = Writers(tiny_run(metrics=ALL), RunDirectory(tmp_path), lines)
    with room_for(max(path.stat().st_size for path in tmp_path.rglob("*.*") if path.suffix != ".prom") + 20):
        for step in (2, 3, 4):
            lines.append(line(step, test_accuracy=0.5))
            writers.write()
    warned = [record.getMessage() for record in dict.fromkeys(caplog.records)]  # more than one handler may have heard of it
    assert sorted(Path(text.partition(" cannot ")[0]).name.partition(".")[0] for text in warned) == ["events", "metrics"]
    assert all("cannot be written: File too large; training goes on" in text for text in warned)
    lines.append(line(5))
    writers.close()
    assert_all_steps(tmp_path, 5)
    assert not list(tmp_path.rglob("*.part"))


def test_a_disk_that_fails_when_a_file_is_closed_is_a_warning(tiny_run: Maker, tmp_path: Path) -> None:
    writers = Writers(tiny_run(metrics={"csv": True}), RunDirectory(tmp_path), [line(1)])
    (descriptor,) = (int(path.name) for path in Path("/proc/self/fd").iterdir() if path.resolve() == tmp_path / "metrics.csv")
    os.close(descriptor)
    writers.close()


def test_a_disk_that_is_full_from_the_start_is_said_at_once(tiny_run: Maker, tmp_path: Path) -> None:
    with room_for(10), pytest.raises(StorageError, match=r"metrics\.csv cannot be written: File too large"):
        Writers(tiny_run(metrics={"csv": True}), RunDirectory(tmp_path), [line(1)])


def test_a_file_for_prometheus_that_cannot_be_is_named_before_training(tiny_run: Maker, tmp_path: Path) -> None:
    config = tiny_run(metrics={"prometheus": str(tmp_path / "missing" / "run.prom")})
    with pytest.raises(ConfigError, match=r"^metrics\.prometheus: .*run\.prom cannot be written: No such file or directory"):
        simulate(config)


class Lose(loop.Silent):
    """Takes the folder of a file away after a step, and ends the run after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def advance(self, line: Any) -> None:
        if line["step"] == 2:
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()
        if line["step"] == 5:
            raise KeyboardInterrupt


def test_a_run_that_is_resumed_has_each_step_once_in_every_file_and_a_lost_folder_costs_no_checkpoint(
    tiny_run: Maker, tmp_path: Path
) -> None:
    folder = tmp_path / "collected"
    folder.mkdir()
    metrics = {**ALL, "prometheus": str(folder / "run.prom")}
    config = tiny_run(run={"steps": 7, "eval_every": 3, "checkpoint_every": 4}, metrics=metrics, attack={"num_byzantine": 3})
    with pytest.raises(KeyboardInterrupt):
        simulate(config, progress=Lose(folder))
    directory = RunDirectory(tmp_path / "runs" / "tiny")
    assert [step for step, _ in all_checkpoints(directory.checkpoints)] == [4, 5]
    assert_all_steps(directory.path, 5)
    (directory.checkpoints / "step_5.pt").unlink()  # so that a step is done again
    folder.mkdir()
    simulate(config, resume=True)
    assert_all_steps(directory.path, 7)
    (row,) = [row for row in table(directory.csv) if row["step"] == "7"]
    assert float(row["test_accuracy"]) == read_metrics(directory.metrics)[-1]["test_accuracy"]
    found = samples(folder / "run.prom")
    assert (found["step"], found["running"]) == (7, 0)


def test_columns_of_a_run_come_in_the_order_that_is_promised(tiny_run: Maker) -> None:
    directory, _ = simulate(tiny_run(metrics={"csv": True}, run={"steps": 1}))
    (written,) = read_metrics(directory.metrics)
    evaluated = [name for name in written if name.startswith("test_")]
    assert list(table(directory.csv)[0]) == [*COLUMNS, *evaluated]
    assert set(written) <= {*COLUMNS, *evaluated}


def assert_all_steps(folder: Path, last: int) -> None:
    """All files of a run have each step once."""
    expected = list(range(1, last + 1))
    assert [int(row["step"]) for row in table(folder / "metrics.csv")] == expected
    (events,) = (folder / "events").iterdir()
    assert [step for step, _ in stored_events(events.read_bytes())] == expected
