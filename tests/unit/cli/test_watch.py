"""`byzshield watch`, on runs whose files are written while it looks."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from byzshield.cli import watch
from byzshield.cli.main import main
from byzshield.config import RunConfig
from byzshield.runtime.run_directory import RunDirectory, open_run
from byzshield.strict_json import dumps

Maker = Callable[..., RunConfig]


def line(step: int, **more: Any) -> str:
    return dumps({"step": step, "seconds": 0.25, "loss": 0.5, **more}) + "\n"


@pytest.fixture
def running(tiny_run: Maker) -> Iterator[RunDirectory]:
    """The directory of a run of 4 steps that a job of this process holds."""
    directory = open_run(tiny_run(), resume=False, overwrite=False)
    yield directory
    directory.release()


def test_once_says_how_a_run_stands(running: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(running.path), "--once"]) == 0
    assert capsys.readouterr() == ("step 0 of 4\n", "")
    running.metrics.write_text(line(1, test_accuracy=0.5) + line(2, blamed={"3": {"malformed": 1}, "4": {"slow": 1}}))
    assert main(["watch", str(running.path), "--once"]) == 0
    said = "step 2 of 4, 0.5 s left: loss 0.500, 0.25 s a step; last test accuracy 0.500; proven: worker 3; suspected: worker 4\n"
    assert capsys.readouterr() == (said, "")


def test_json_is_one_document(running: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    running.metrics.write_text(line(1, test_mean_squared_error=0.5, blamed={"3": {"malformed": 1}}))
    assert main(["watch", str(running.path), "--once", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["step"], found["steps"], found["seconds_left"]) == ("running", 1, 4, 0.75)
    assert (found["evaluated"], found["proven"], found["suspected"]) == ({"mean squared error": 0.5}, [3], [])
    running.write_summary({"status": "stopped", "reason": "told to end by a signal"})
    assert main(["watch", str(running.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["reason"], found["seconds_left"]) == ("stopped", "told to end by a signal", None)


def test_it_goes_on_until_the_run_ends_and_says_how(
    running: RunDirectory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)

    def job() -> None:
        with open(running.metrics, "a") as file:
            for step in (2, 3):
                time.sleep(0.3)
                file.write(line(step, test_accuracy=step / 4))
                file.flush()
        time.sleep(0.3)
        summary = {
            "status": "failed",
            "reason": "the model diverged",
            "blamed": {"3": {"minority": 2}},
            "asked": {"3": {"votes": 5}},
        }
        running.write_summary(summary)

    running.metrics.write_text(line(1))
    thread = threading.Thread(target=job)
    thread.start()
    assert main(["watch", str(running.path)]) == 0
    thread.join()
    output = capsys.readouterr()
    assert [text.partition(":")[0].partition(",")[0] for text in output.err.splitlines()] == [
        f"step {step} of 4" for step in (1, 2, 3)
    ]
    assert output.err.splitlines()[-1].endswith("test accuracy 0.750")
    assert output.out.splitlines()[:2] == [
        "failed after step 3 of 4: the model diverged",
        "suspected  worker 3    minority 2 of 5 votes (40%)",
    ]


def test_a_run_that_has_ended_is_told_at_once(tiny_run: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    from byzshield.runtime import simulate

    directory, summary = simulate(tiny_run())
    assert main(["watch", str(directory.path)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert f"test accuracy {summary['test_accuracy']:.4f}" in output.out
    assert output.out.endswith(f"results in {directory.path}\n")


def test_what_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"byzshield: {tmp_path / 'none'} is not a run's directory: it has no config.toml\n"


def test_ctrl_c_ends_the_watching_in_one_line_and_nothing_heavy_was_imported(running: RunDirectory) -> None:
    code = (
        "import sys, byzshield.cli.main as cli; status = cli.main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(status)"
    )
    words = [sys.executable, "-c", code, "watch", str(running.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline() == "step 0 of 4: waiting for the first step\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.stderr.read() == "byzshield: interrupted\n"
        assert process.stdout.read() == "False\n"
    assert process.returncode == 130
