"""A laptop with a project and its launcher, and hosts that are real sshds on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from laptop import Laptop


@pytest.fixture
def laptop(python: str, tmp_path: Path) -> Iterator[Laptop]:
    """A laptop whose launcher runs under `python`."""
    machine = Laptop(tmp_path / "laptop", python)
    yield machine
    machine.stop()
