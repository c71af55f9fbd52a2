"""Runs scripts/ec2 as a user does, under each Python that it promises to work with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
LAUNCHER = REPOSITORY / "scripts" / "ec2"
PYTHON2 = Path(sys.executable).parent / "launcher-python2.7"  # made by scripts/venv.sh
_needs_python2 = pytest.mark.skipif(
    not PYTHON2.exists() and "CI" not in os.environ, reason="scripts/test.sh found no Python 2.7 (PYTHON2 names one)"
)
PYTHONS = pytest.mark.parametrize(
    "python", [pytest.param(sys.executable, id="python3"), pytest.param(str(PYTHON2), id="python2.7", marks=_needs_python2)]
)


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
