"""What q workers can cost by being late, as the benchmark measures it in simulated time, so that it is the same everywhere."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "bench_faults.py"


def test_after_ten_steps_no_way_to_be_late_makes_steps_last_two_and_a_half_times_as_long() -> None:
    command = [sys.executable, str(SCRIPT), "--preset", "smoke", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    computing, delivering, tiny = json.loads(done.stdout)["cases"]
    for case in (computing, delivering):
        assert case["num_byzantine"] == 7
        for fault, found in case["faults"].items():
            assert found["ratio"] < (2.5 if fault == "majority to the end" else 2), (case["case"], fault)
    # No payload is late within a tenth of a second, and no vote within five.
    assert all(found["mean"] < tiny["undisturbed_seconds"] + 5.0 for found in tiny["faults"].values())
    dripping = ("drip", "drip in time", "alternating drip", "drip unless doubted", "drip to the end")
    for fault in ("no delivery", "first chunk only", *dripping):
        assert tiny["faults"][fault]["mean"] < tiny["undisturbed_seconds"] + 0.2, fault
    for fault in ("silence", "drip", "first chunk only", "alternating drip", "withheld votes and a liar"):
        assert computing["faults"][fault]["late_byzantine"] > 0
        assert computing["faults"][fault]["late_honest"] == 0
    # It is the Byzantine workers' majority of a file that is undecided, and nothing else.
    assert computing["faults"]["withheld votes and a liar"]["undecided_a_step"] == 10
    assert computing["faults"]["drip"]["undecided_a_step"] == 0
