"""Real processes, forked from one that has imported torch."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import wait_for

from byzshield.config import RunConfig, dump
from byzshield.errors import LostProcessError
from byzshield.runtime.fork_server import ForkServer

OWN_DATA = """\
import atexit, json, os, random, sys, threading, time
from pathlib import Path

import numpy as np
import torch

import byzshield

def draw(path):
    path.write_text(json.dumps([random.random(), float(np.random.random()), float(torch.rand(1)), torch.initial_seed()]))


def make(act, **_):
    here = Path(__file__).parent
    seen = {
        "process": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgid(0),
        "dtype": str(torch.get_default_dtype()),
        "left": [hasattr(byzshield, "left"), "LEFT" in os.environ],
        "threads": threading.active_count(),
        "cuda": torch.cuda.is_initialized(),
    }
    (here / f"{act}.partial").write_text(json.dumps(seen))
    (here / f"{act}.partial").rename(here / f"{act}.json")
    atexit.register(draw, here / f"{act}.drawn")
    torch.set_default_dtype(torch.float64)
    byzshield.left = os.environ["LEFT"] = "something"
    print("to nowhere")
    print("to the log", file=sys.stderr)
    if act == "abort":
        os.abort()
    if act == "exit":
        os._exit(7)
    if act == "generator":
        raise GeneratorExit("nobody catches this")
    if act == "wait":
        try:
            time.sleep(300)
        finally:
            (here / "ended").touch()
    raise ValueError("an act of its own")
"""


class Probes:
    """Runs of a data set that writes down where it is, and then acts."""

    def __init__(self, folder: Path, make: Callable[..., RunConfig]) -> None:
        self._folder, self._make = folder, make
        (folder / "own_probe.py").write_text(OWN_DATA)
        self.server = ForkServer(folder / "server.txt", inherited=os.open(folder, os.O_RDONLY))

    def start(self, act: str) -> int:
        run_file = self._folder / f"{act}.toml"
        run_file.write_text(dump(self._make(data={"name": "own_probe:make", "act": act})))
        return self.server.start(["simulate", str(run_file), "--end-with-stdin"], log=self.log(act))

    def log(self, act: str) -> Path:
        return self._folder / f"{act}.txt"

    def end_of(self, number: int) -> int:
        found: list[int] = []

        def ended() -> bool:
            status = self.server.exit_status(number)
            found.extend([] if status is None else [status])
            return status is not None

        wait_for(ended, "the end of a process", seconds=200)
        return found[0]

    def seen(self, act: str) -> dict[str, Any]:
        path = self._folder / f"{act}.json"
        wait_for(path.exists, "the act", seconds=200)
        result: dict[str, Any] = json.loads(path.read_text())
        return result


@pytest.fixture
def probes(tmp_path: Path, tiny_run: Callable[..., RunConfig]) -> Iterator[Probes]:
    made = Probes(tmp_path, tiny_run)
    yield made
    made.server.close()


def test_nothing_that_a_process_does_reaches_another(probes: Probes) -> None:
    acts = {"raise": 2, "exit": 7, "abort": -signal.SIGABRT, "generator": 1}
    assert {act: probes.end_of(probes.start(act)) for act in acts} == acts
    seen = [probes.seen(act) for act in acts]
    for each in seen:
        assert (each["dtype"], each["left"], each["cuda"]) == ("torch.float32", [False, False], False)
        assert each["threads"] == 2  # with the one that awaits the end of its input
        assert each["group"] == each["process"]
    assert "to the log" in probes.log("raise").read_text().splitlines()
    assert "data: ValueError: an act of its own" in probes.log("raise").read_text()
    assert probes.log("generator").read_text().endswith("\nGeneratorExit: nobody catches this\n")
    assert "to nowhere" not in probes.log("raise").read_text()
    folder = probes.log("raise").parent
    assert {path.stem for path in folder.glob("*.drawn")} == {
        "raise",
        "generator",
    }  # as for any process, the others run no atexit
    drawn = [json.loads(path.read_text()) for path in folder.glob("*.drawn")]
    assert not [pair for pair in zip(*drawn, strict=True) if pair[0] == pair[1]]


@pytest.mark.parametrize("killed", [False, True])
def test_a_process_ends_in_order_with_the_one_that_it_was_forked_from(probes: Probes, killed: bool) -> None:
    number = probes.start("wait")
    server = probes.seen("wait")["parent"]
    assert probes.server.exit_status(number) is None
    if killed:
        os.kill(server, signal.SIGKILL)
        with pytest.raises(LostProcessError, match=r"exit status -9; .*server\.txt may say why"):
            probes.start("raise")
        wait_for(lambda: not Path(f"/proc/{number}").exists(), "its end", seconds=200)
    probes.server.close()
    assert not Path(f"/proc/{number}").exists()
    assert (probes.log("wait").parent / "ended").exists()
    with pytest.raises(LostProcessError):
        probes.start("raise")


def test_a_server_that_is_closed_before_it_is_ready_ends_at_once(probes: Probes) -> None:
    probes.server.close()
    assert probes.log("server").read_text() == ""
