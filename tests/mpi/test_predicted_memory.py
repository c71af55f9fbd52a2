"""What is said of memory before the first step, against what a real job takes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from byzshield.config import RunConfig, dump

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(280)]
MPIRUN = Path(sys.executable).parent / "mpirun"
MIB = 1 << 20


TRIES: dict[str, Any] = {"z": "optimized", "num_byzantine": 3, "selection": "first"}


@pytest.mark.parametrize(("exchange", "attack"), [("digest", {}), ("full", TRIES)])
def test_each_rank_takes_what_was_predicted_and_at_most_a_quarter_and_64_mib_less(
    tiny_run: Callable[..., RunConfig], tmp_path: Path, mpi_environment: dict[str, str], exchange: str, attack: dict[str, Any]
) -> None:
    wide = {
        "model": {"hidden": [2000]},  # 6 MiB of parameters, and 150 MiB of winners
        "aggregation": {"rule": "multi_krum", "pre": ["nnm"]},
        "optimizer": {"name": "Adam", "lr": 0.001},
        "data": {"image_shape": [1, 28, 28], "batch_size": 25},
        "attack": attack,
        "cluster": {"chunk_elements": 1 << 18, "exchange": exchange},
        "run": {"steps": 3},
    }
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(tiny_run(**wide)))
    words = ["-m", "mpi4py", "-m", "told_memory", str(tmp_path), "train", str(run_file)]
    done = subprocess.run(
        [MPIRUN, "-n", "3", sys.executable, *words], env=mpi_environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    for rank in range(3):
        told = json.loads((tmp_path / f"{rank}.json").read_text())
        assert told["taken"] <= told["predicted"] <= 1.25 * told["taken"] + 64 * MIB, told
