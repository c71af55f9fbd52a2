"""What many tests share: a tiny run, and ways to run it."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from byzshield.config import RunConfig, from_table

REPOSITORY = Path(__file__).parent.parent
collect_ignore = ["broken_modules"]  # which no import survives
Tables = dict[str, dict[str, Any]]


def pytest_configure() -> None:
    """Takes back what whoever has started the tests has set for all processes that they start.

    What a shell starts in the background ignores Ctrl-C, and pytest-xdist tells its processes of a terminal of 80 columns.
    """
    os.environ.pop("COLUMNS", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., RunConfig]:
    """Returns a maker of run configurations that train in a second: 15 workers, MOLS l=5 r=3, a small MLP."""

    def make(**sections: dict[str, Any]) -> RunConfig:
        table: Tables = {
            "run": {"name": "tiny", "steps": 4, "output_dir": str(tmp_path / "runs")},
            "cluster": {"num_workers": 15, "chunk_elements": 200},
            "data": {"name": "synthetic", "batch_size": 75, "image_shape": [1, 8, 8], "num_train": 300, "num_test": 50},
            "model": {"name": "mlp", "hidden": [8]},
            "placement": {"scheme": "mols", "replication": 3},
            "aggregation": {"rule": "median"},
            "attack": {"num_byzantine": 0},
            "optimizer": {"name": "SGD", "lr": 0.1},
        }
        for section, values in sections.items():
            table.setdefault(section, {}).update(values)
        return from_table(table)

    return make


@pytest.fixture(scope="session", autouse=True)
def own_tmpdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All that is started has a TMPDIR of this session, with which goes what killed processes leave, such as TMPDIR/ompi.PID."""
    folder = tmp_path_factory.getbasetemp() / "t"  # a short name: there may be sockets in it
    folder.mkdir()
    tempfile.gettempdir()  # which this process goes by from now on: others may look into its folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        yield


@pytest.fixture(autouse=True)
def process_is_restored() -> Iterator[None]:
    """A run sets torch's thread count, a test changes its folder; the next test must not feel it."""
    threads, folder = torch.get_num_threads(), Path.cwd()
    yield
    torch.set_num_threads(threads)
    os.chdir(folder)


@pytest.fixture
def weights_of() -> Callable[[Path], dict[str, torch.Tensor]]:
    """Returns a reader of the last checkpoint's weights in a run's directory."""
    from checkpoints import latest_checkpoint

    from byzshield.runtime.checkpoint import load_checkpoint

    def read(run_directory: Path) -> dict[str, torch.Tensor]:
        path = latest_checkpoint(run_directory / "checkpoints")
        assert path is not None
        weights: dict[str, torch.Tensor] = load_checkpoint(path)["model"]
        return weights

    return read


@pytest.fixture
def same_weights() -> Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], bool]:
    """Returns a comparison of weights that counts every bit."""

    def compare(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
        return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)

    return compare


@pytest.fixture(scope="session")
def mpi_environment(own_tmpdir: None) -> dict[str, str]:
    """The environment that scripts/lib/mpi_env.sh makes, for an mpirun on this machine."""
    import subprocess

    shell = f". '{REPOSITORY}/scripts/lib/mpi_env.sh' && env -0"
    output = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout
    environment = dict(entry.split("=", 1) for entry in output.split("\0") if "=" in entry)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    return environment
