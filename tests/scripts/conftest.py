"""What scripts are tried on: a checkout of the test's own, and hosts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import drowsy as drowsy_module
import pytest
from drowsy import drowsy
from loopback_hosts import LoopbackHosts, loopback_hosts

from byzshield.config import RunConfig, dump

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with links to the project's files, its .venv and tests/drowsy.py among them."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in (".venv", "byzshield", "configs", "scripts", "setup.py", "requirements-remote.txt", "requirements-local.txt"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "drowsy.py").symlink_to(drowsy_module.__file__)
    return folder


@pytest.fixture
def endless_run(tiny_run: Callable[..., RunConfig], checkout: Path) -> str:
    """A run file in the checkout, relative to it, of a run that is far from its end whenever somebody looks."""
    config = tiny_run(run={"name": "endless", "steps": 100_000, "output_dir": "runs"}, model=drowsy(0.005))
    (checkout / "endless.toml").write_text(dump(config))
    return "endless.toml"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[LoopbackHosts]:
    """Two hosts on loopback."""
    with loopback_hosts(tmp_path, 2) as started:
        yield started
