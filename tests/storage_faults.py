"""Runs that are killed at each point at which they touch the disk, or whose disk is full; a process of its own, since it forks.

`python storage_faults.py FOLDER KIND ...` prints one JSON document of what it saw.
"""

import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from byzshield import storage
from byzshield.cli.main import main as command_line
from byzshield.config import RunConfig, dump, from_table
from byzshield.config.schema import MetricsSection
from byzshield.errors import ConfigError
from byzshield.runtime import metrics, simulate
from byzshield.runtime.checkpoint import all_checkpoints, load_checkpoint
from byzshield.runtime.evidence import EvidenceLog
from byzshield.runtime.metrics import read_metrics
from byzshield.runtime.run_directory import open_run
from byzshield.runtime.writers.event_file import stored_events
from byzshield.training.audit import Conviction

WRITING = os.O_WRONLY | os.O_RDWR


def tiny(folder: Path, **run: Any) -> RunConfig:
    """A run of a few steps with momentum, in `folder`."""
    return from_table(
        {
            "run": {"name": "run", "output_dir": str(folder), "steps": 2, "checkpoint_every": 1, "keep_checkpoints": 1, **run},
            "cluster": {"num_workers": 15},
            "data": {"name": "synthetic", "batch_size": 75, "image_shape": [1, 8, 8], "num_train": 300, "num_test": 50},
            "model": {"name": "mlp", "hidden": [8]},
            "placement": {"scheme": "mols", "replication": 3},
            "attack": {"num_byzantine": 0},
            "optimizer": {"name": "SGD", "lr": 0.1, "momentum": 0.9},
        }
    )


class Points:
    """Counts what this process does to files under `folder`, and kills it in front of the `fatal`-th."""

    def __init__(self, folder: Path, fatal: int) -> None:
        self._folder, self._fatal = str(folder), fatal
        self.names: list[str] = []

    def reach(self, name: str) -> None:
        """Kills this process, or counts the point."""
        if len(self.names) + 1 == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    def watch(self) -> None:
        """From now on."""
        sys.addaudithook(self._heard)
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self.reach("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
            sync(descriptor)

        os.fsync = fsync

        points = self

        class Halves(io.FileIO):
            def write(self, data: Any) -> int:
                half = len(data) // 2
                written = super().write(data[:half])
                points.reach(f"write {Path(os.fsdecode(self.name)).name}")  # type: ignore[arg-type]
                return written + super().write(data[half:])

        for module in (storage, metrics):
            module.open = lambda path, mode, **_: Halves(path, mode)  # type: ignore[attr-defined]

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            paths = [str(path) for path in arguments[:2] if isinstance(path, str | os.PathLike)]
            if any(path.startswith(self._folder) for path in paths):
                self.reach(f"{event} {Path(paths[-1] if event == 'os.rename' else paths[0]).name}")


def killed(work: Callable[[], Any], folder: Path, fatal: int) -> tuple[bool, list[str]]:
    """Does `work` in a process that dies in front of its `fatal`-th point; whether it died, and the points if it did not."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        points = Points(folder, fatal)
        points.watch()
        work()
        os.write(writer, json.dumps(points.names).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        names = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True, []
    assert status == 0, "the work failed"
    return False, json.loads(names)


def weights(config: RunConfig) -> dict[str, torch.Tensor]:
    """Of the run's newest checkpoint."""
    path = all_checkpoints(Path(config.run.output_dir) / config.run.name / "checkpoints")[-1][1]
    state: dict[str, torch.Tensor] = load_checkpoint(path)["model"]
    return state


def complaints(config: RunConfig, expected: dict[str, torch.Tensor]) -> list[str]:
    """What is wrong with a run that has been resumed to its end."""
    directory = Path(config.run.output_dir) / config.run.name
    found = weights(config)
    wrong = [] if all(torch.equal(found[name], expected[name]) for name in expected) else ["other weights"]
    if [line["step"] for line in read_metrics(directory / "metrics.jsonl")] != list(range(1, config.run.steps + 1)):
        wrong.append("other steps")
    if config.metrics.csv:
        (events,) = (directory / "events").iterdir()
        for steps in ([step for step, _ in stored_events(events.read_bytes())], _steps_of_table(directory / "metrics.csv")):
            if steps != list(range(1, config.run.steps + 1)):
                wrong.append("other steps for other programs")
    if list(directory.rglob("*.part")):
        wrong.append("half a file")
    checkpoints = [step for step, _ in all_checkpoints(directory / "checkpoints")]
    if checkpoints[-1] != config.run.steps or len(checkpoints) > 2:  # the older one was to be removed when the process died
        wrong.append("other checkpoints")
    return wrong


def _steps_of_table(path: Path) -> list[int]:
    with open(path, newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def kill_saves(folder: Path) -> dict[str, Any]:
    """Kills a run at each point of its two saves, resumes it, and compares."""
    whole = tiny(folder / "whole")
    simulate(whole)
    expected = weights(whole)
    wrong: dict[int, list[str]] = {}
    sound: list[int] = []
    for fatal in range(1, 1000):
        config = tiny(folder / f"killed-{fatal}")
        died, names = killed(lambda config=config: simulate(config), folder, fatal)  # type: ignore[misc]
        checkpoints = all_checkpoints(Path(config.run.output_dir) / "run" / "checkpoints")
        for _, path in checkpoints:
            load_checkpoint(path)
        sound.append(len(checkpoints))
        simulate(config, resume=True)
        if complaints_here := complaints(config, expected):
            wrong[fatal] = complaints_here
        if not died:
            return {"points": names, "wrong": wrong, "sound": sound}
    raise AssertionError("it never ends")


def kill_convictions(folder: Path) -> dict[str, Any]:
    """Kills a job at each point at which it notes one proof, and then two together; how many are found then."""
    found: list[int] = []
    for fatal in range(1, 1000):
        path = folder / f"{fatal}" / "evidence.jsonl"
        path.parent.mkdir()

        def note(path: Path = path) -> None:
            log = EvidenceLog(path)
            for workers in ((0,), (1, 2)):
                proofs = [Conviction(step=1, file=0, worker=worker, evidence="audit", committed=b"x") for worker in workers]
                log.convict(*proofs, back_to=0)

        died, names = killed(note, folder, fatal)
        found.append(len(EvidenceLog(path).events))
        if not died:
            return {"points": names, "found": found}
    raise AssertionError("it never ends")


def kill_overwrites(folder: Path) -> dict[str, Any]:
    """Kills the start of an --overwrite at each point; the next one must find its way."""
    wrong: dict[int, list[str]] = {}
    for fatal in range(1, 1000):
        config = tiny(folder / f"{fatal}")
        open_run(config, resume=False, overwrite=False).release()
        directory = folder / f"{fatal}" / "run"
        (directory / "checkpoints").mkdir()
        for name in ("metrics.jsonl", "summary.json", "checkpoints/step_1.pt", ".summary.json.01234567.part"):
            (directory / name).touch()
        died, names = killed(lambda config=config: open_run(config, resume=False, overwrite=True), folder, fatal)  # type: ignore[misc]
        open_run(config, resume=False, overwrite=True).release()
        left = sorted(path.name for path in directory.iterdir())
        if left != [".lock", "config.toml"]:
            wrong[fatal] = left
        if not died:
            return {"points": names, "wrong": wrong}
    raise AssertionError("it never ends")


def kill_at_random(folder: Path) -> dict[str, Any]:
    """Kills one run again and again, at moments that no code has chosen, and resumes it until it has ended."""
    whole, config = tiny(folder / "whole", steps=20), tiny(folder / "killed", steps=20)
    simulate(whole)
    rng = random.Random(1)
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            simulate(config, resume=True)
            os._exit(0)
        time.sleep(rng.uniform(0.05, 0.4) if kills < 4 else 0.0)
        if kills < 4:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            return {"kills": kills, "wrong": complaints(config, weights(whole))}
        kills += 1


def start_together(folder: Path) -> dict[str, Any]:
    """Lets two processes open one run at the same time, to resume it and to overwrite it; the pids, and what each was told."""
    told = {}
    for word in ("resume", "overwrite"):
        config = tiny(folder / word)
        open_run(config, resume=False, overwrite=False).release()
        waiting, go = os.pipe()
        answers, say = os.pipe()
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os.close(go)
                os.read(waiting, 1)  # until the parent closes the other end
                try:
                    open_run(config, resume=word == "resume", overwrite=word == "overwrite")
                    os.write(say, json.dumps([os.getpid(), ""]).encode() + b"\n")
                    time.sleep(30)  # the parent kills it
                except ConfigError as error:
                    os.write(say, json.dumps([os.getpid(), str(error)]).encode() + b"\n")
                os._exit(0)
            children.append(child)
        os.close(go)
        with open(answers) as lines:
            told[word] = [json.loads(lines.readline()) for _ in children]
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(say)
        os.close(waiting)
        open_run(config, resume=True, overwrite=False).release()  # the lock has gone with its process
    return told


def fill_the_disk(folder: Path) -> dict[str, Any]:
    """Runs with one free page, two, three ... on the file system of `folder`, until a run has room; then resumes each."""
    run_file, whole = folder / "run.toml", tiny(folder / "whole")
    simulate(whole)
    expected = weights(whole)
    page = os.statvfs(folder).f_frsize
    seen: list[list[Any]] = []
    for free in range(100):
        config = replace(tiny(folder / f"full-{free}", keep_checkpoints=0), metrics=MetricsSection(csv=True, tensorboard=True))
        run_file.write_text(dump(config))
        directory = folder / f"full-{free}" / "run"
        with open(folder / "filler", "wb") as filler:
            statistics = os.statvfs(folder)
            filler.write(bytes(page * (statistics.f_bavail - free)))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            status = command_line(["simulate", str(run_file), "--resume"])
        half = [path.name for path in folder.rglob("*.part")]
        lines = (directory / "metrics.jsonl").read_bytes() if (directory / "metrics.jsonl").exists() else b""
        for _, path in all_checkpoints(directory / "checkpoints"):
            load_checkpoint(path)
        cut = bool(lines) and not lines.endswith(b"\n")
        (folder / "filler").unlink()
        simulate(config, resume=True)
        seen.append([free, status, errors.getvalue(), half, cut, complaints(config, expected)])
        shutil.rmtree(directory.parent)
        if status == 0:
            return {"seen": seen}
    raise AssertionError("it never has room")


KINDS = {
    work.__name__: work for work in (kill_saves, kill_convictions, kill_overwrites, kill_at_random, start_together, fill_the_disk)
}

if __name__ == "__main__":
    seen = {}
    for kind in sys.argv[2:]:
        place = Path(sys.argv[1]) / kind
        place.mkdir()
        seen[kind] = KINDS[kind](place)
    sys.stdout.write(json.dumps(seen))
