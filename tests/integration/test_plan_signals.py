"""A long plan ends at once when it is told to."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from polling import wait_for

# 77 workers of which 14 lie take far longer than any test.
COMMAND = ["plan", "--workers", "77", "--byzantine", "14", "--slack", "0", "--time-limit", "1000"]
BUSY_SECONDS = 2.0  # of the processor: by then it searches


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of_the_dead() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_plan_that_is_told_to_end_ends_within_a_second_of_work(tmp_path: Path, number: signal.Signals, status: int) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "byzshield", *COMMAND]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=environment) as process:
        try:
            wait_for(lambda: cpu_seconds(process.pid) > BUSY_SECONDS, "the search")
            before, others = cpu_seconds(process.pid), cpu_seconds_of_the_dead()
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert cpu_seconds_of_the_dead() - others - before < 1.0
    assert "Traceback" not in errors
