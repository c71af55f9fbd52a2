"""attend.sh: what all ranks print reaches the log as a terminal may show it, and signals and statuses pass."""

import subprocess
from pathlib import Path

from loopback_hosts import REPOSITORY

ATTEND = f". '{REPOSITORY}/scripts/lib/attend.sh'; attend bash -c \"$1\""


def test_what_ranks_print_steers_no_terminal() -> None:
    hostile = r"printf '\033]0;x\007a\rforged\302\2332J\342\200\256 gr\303\266\303\237e\ttab\r\n'; printf 'no end' >&2; exit 3"
    done = subprocess.run(["bash", "-c", ATTEND, "job", hostile], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "?]0;x?a?forged?2J? größe\ttab\nno end", "")


def test_what_a_job_leaves_behind_holds_nobody_up(tmp_path: Path) -> None:
    job = "echo begun; sleep 300 & echo $! >&2; trap 'echo asked; exit 7' USR1; kill -USR1 $PPID; sleep 1 & wait"
    with (tmp_path / "log").open("wb") as log:
        status = subprocess.run(["bash", "-c", ATTEND, "job", job], stdout=log, stderr=log, timeout=60).returncode
    begun, left, asked = (tmp_path / "log").read_text().splitlines()
    subprocess.run(["kill", left], check=True)
    assert (begun, asked, status) == ("begun", "asked", 7)
