"""The benchmark runs and says what it measured."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "bench_aggregation.py"


def test_the_smoke_preset_times_every_rule_and_judges_the_targets():
    command = [sys.executable, str(SCRIPT), "--preset", "smoke", "--rows", "9", "--corrupted", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    document = json.loads(done.stdout)
    assert document["columns"] == 20_000
    assert {"median", "krum", "nnm", "np.median", "numpy row sum"} <= set(document["seconds"])
    assert all(seconds > 0 for seconds in document["seconds"].values())
    for target in document["targets"]:
        sign, bound = target["bound"].split()
        assert target["met"] == (target["ratio"] >= float(bound) if sign == ">=" else target["ratio"] <= float(bound))
