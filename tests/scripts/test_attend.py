"""attend.sh: what all ranks print reaches the log as a terminal may show it, and signals and statuses pass."""

import subprocess

from loopback_hosts import REPOSITORY

ATTEND = f". '{REPOSITORY}/scripts/lib/attend.sh'; attend bash -c \"$1\""


def attend(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", ATTEND, "job", command], capture_output=True, text=True, timeout=60)


def test_what_ranks_print_steers_no_terminal() -> None:
    hostile = r"printf '\033]0;x\007a\rforged\302\2332J\342\200\256 gr\303\266\303\237e\ttab\r\n'; printf 'no end' >&2; exit 3"
    done = attend(hostile)
    assert (done.returncode, done.stdout, done.stderr) == (3, "?]0;x?a?forged?2J? größe\ttab\nno end", "")


def test_what_a_job_leaves_behind_holds_nobody_up() -> None:
    done = attend("echo begun; sleep 30 & echo $! >&2; kill -USR1 $PPID; trap 'echo asked; exit 7' USR1; sleep 1 & wait")
    begun, pid, asked = done.stdout.splitlines()
    subprocess.run(["kill", pid], check=True)
    assert (begun, asked, done.returncode) == ("begun", "asked", 7)
