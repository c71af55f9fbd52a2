"""Runs scripts/ec2 as a user does, under each Python that it promises to work with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
LAUNCHER = REPOSITORY / "scripts" / "ec2"
PYTHON2 = Path(sys.executable).parent / "launcher-python2.7"  # made by scripts/lib/venv.sh
_needs_python2 = pytest.mark.skipif(
    not PYTHON2.exists() and "CI" not in os.environ, reason="scripts/test.sh found no Python 2.7 (PYTHON2 names one)"
)
_EACH = (pytest.param(sys.executable, id="python3"), pytest.param(str(PYTHON2), id="python2.7", marks=_needs_python2))
PYTHONS = pytest.mark.parametrize("python", _EACH)


def names_of_a_command(new: str, published: str) -> pytest.MarkDecorator:
    """Parametrizes a test by `name` and `python`: the command's name under Python 3, and its older one under Python 2.7."""
    names = zip((new, published), _EACH, strict=True)
    cases = [pytest.param(name, *python.values, id=f"{name}-{python.id}", marks=python.marks) for name, python in names]
    return pytest.mark.parametrize(("name", "python"), cases)


def run_launcher(
    python: str, *words: str, env: dict[str, str] | None = None, input: str | None = None, timeout: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Runs `python scripts/ec2 WORDS`; `env` is added to the environment, and standard input is empty unless given."""
    return subprocess.run(
        [python, str(LAUNCHER), *words],
        env={**os.environ, **(env or {})},
        input=input if input is not None else "",
        capture_output=True,
        text=True,
        timeout=timeout,
    )
