"""Completion as real shells do it: a key is pressed in each of them."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from needs import need

from byzshield.cli.main import main

SHELLCHECK = Path(sys.executable).parent / "shellcheck"
SECONDS = 30.0
# What is typed before the tab, and what is there behind it.
CASES = {
    "byzshield disto": "byzshield distortion",
    "byzshield plan --byz": "--byzantine",
    "byzshield distortion --scheme mo": "--scheme mols",
    "byzshield list pre": "list pre-aggregators",
    "byzshield data prepare mnist5": "prepare mnist5k",
    "byzshield detox --approach rama_o": "--approach rama_one",
    "byzshield simulate fi": "simulate first.toml",
    "byzshield evaluate ru": "evaluate runs/",
    "byzshield report --output pa": "--output page.html",
    "byzshield train first.toml --set attack.na": "--set attack.name=",
    "byzshield train --set attack.num_byzantine=3 --set attack.name=al": "--set attack.name=alie",
    "byzshield doctor --set loss.name=mse": "--set loss.name=mse_loss",
    "byzshield sweep --set cluster.exchange=d": "--set cluster.exchange=digest",
}


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Path:
    """The script of the shell that the test is about, in a folder with something to complete."""
    need(request.param)
    assert main(["completion", request.param]) == 0
    path = tmp_path / f"completion.{request.param}"
    path.write_text(capsys.readouterr().out)
    (tmp_path / "runs").mkdir()
    for name in ("first.toml", "first.txt", "page.html", "runs.txt"):
        (tmp_path / name).touch()
    return path


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_completes_and_its_script_is_sound(script: Path) -> None:
    subprocess.run([SHELLCHECK, "--shell=bash", script], check=True)
    with terminal(["bash", "--norc", "--noprofile", "-i"], script.parent) as shell:
        shell.type(f"source '{script}'; echo rea''dy\n", awaited="ready")
        for typed, completed in CASES.items():
            shell.type(f"{typed}\t", awaited=completed)
            shell.type("\x15")


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes(script: Path) -> None:
    with terminal(["zsh", "-f", "-i"], script.parent) as shell:
        shell.type(f"autoload -U compinit; compinit -u -D; source '{script}'; echo rea''dy\n", awaited="ready")
        for typed, completed in CASES.items():
            shell.type(f"{typed}\t", awaited=completed)
            shell.type("\x15")


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_completes(script: Path) -> None:
    # fish says by itself what the key would do.
    lines = "\n".join([f"source '{script}'", *(f"complete --do-complete '{typed}'; echo" for typed in CASES)])
    home = {**os.environ, "HOME": str(script.parent)}
    done = subprocess.run(["fish", "-c", lines], capture_output=True, text=True, check=True, cwd=script.parent, env=home)
    for completed, offered in zip(CASES.values(), done.stdout.split("\n\n"), strict=False):
        assert completed.split()[-1] in offered


class Terminal:
    """A program at the other end of a terminal.

    Args:
        descriptor: this end of it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def type(self, text: str, *, awaited: str = "") -> None:
        """Types, and reads on until something is there."""
        os.write(self._descriptor, text.encode())
        shown, until = "", time.monotonic() + SECONDS
        while awaited not in shown:
            assert time.monotonic() < until, f"{text!r} shows {shown!r}, and not {awaited!r}"
            if select.select([self._descriptor], [], [], 0.1)[0]:
                shown += os.read(self._descriptor, 65536).decode()


@contextmanager
def terminal(command: list[str], folder: Path) -> Iterator[Terminal]:
    """Starts a program in a terminal of its own, and ends it."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "PS1": "> ", "HOME": str(folder)}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Terminal(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
