"""fetch brings what is new, each file whole or not at all, and takes nothing that the host should not be able to give."""

import os
import re
import socket
import time
from contextlib import chdir
from pathlib import Path

import pytest
from laptop import Laptop, connections, end
from launcher import PYTHONS
from polling import wait_for


def write(laptop: Laptop, name: str | bytes, content: bytes = b"x", modified: float = 1_700_000_000.123456789) -> Path:
    """Writes a file below runs/ on the parameter server."""
    path = laptop.directory("ps") / "runs" / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    }


def fetched(stderr: bytes) -> tuple[int, int]:
    """(files fetched, files that were there already) as fetch says."""
    found = re.search(rb"^(\d+) files fetched \([0-9.]+ MB\) to .*, (\d+) were there already$", stderr, re.MULTILINE)
    assert found, stderr
    return int(found[1]), int(found[2])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results"


@PYTHONS
def test_results_come_once_and_again_when_they_change(laptop: Laptop, output: Path) -> None:
    laptop.host("ps")
    write(laptop, "first/metrics.jsonl", b"{}\n")
    write(laptop, "first/checkpoints/step_5.pt", os.urandom(3_000_000))
    write(laptop, "second/summary.json", b"")
    result = laptop.run("fetch", "--output", str(output))
    assert (result.returncode, fetched(result.stderr)) == (0, (3, 0))
    assert files(output) == files(laptop.directory("ps") / "runs")
    assert fetched(laptop.run("fetch", "--output", str(output)).stderr) == (0, 3)
    write(laptop, "first/metrics.jsonl", b"[]\n", modified=1_700_000_000.25)  # as long as before, within the same second
    write(laptop, "first/more", b"new")
    assert fetched(laptop.run("fetch", "--output", str(output)).stderr) == (2, 2)
    assert files(output) == files(laptop.directory("ps") / "runs")


def test_runs_are_chosen_by_name_and_come_to_the_project(laptop: Laptop) -> None:
    laptop.host("ps")
    for name in ("first/a", "second/b", "third run/c"):
        write(laptop, name)
    result = laptop.run("fetch", "first", "third run")
    assert result.returncode == 0
    assert set(files(laptop.project / "runs")) == {"first/a", "third run/c"}
    missing = laptop.run("fetch", "fourth")
    assert missing.returncode == 1
    assert b"fetch: ps: find:" in missing.stderr
    assert b"fourth" in missing.stderr
    for name in ("../first", "/etc", "..", ""):
        assert laptop.run("fetch", name).returncode == 2


@PYTHONS
def test_names_may_be_anything_that_can_be_shown(laptop: Laptop, output: Path) -> None:
    laptop.host("ps")
    for name in (b"a b", "größe".encode(), b"-x", b"\xff", b"*", b"n" * 120 + b"/" + b"m" * 120):
        write(laptop, name, name)
    result = laptop.run("fetch", "--output", str(output))
    assert (result.returncode, fetched(result.stderr)) == (0, (6, 0))
    assert files(output) == files(laptop.directory("ps") / "runs")


def test_links_and_special_files_stay_where_they_are(laptop: Laptop, output: Path, tmp_path: Path) -> None:
    laptop.host("ps")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("not a result")
    runs = write(laptop, "first/good", b"good").parent
    (runs / "link").symlink_to(secret / "file")
    (runs / "folder").symlink_to(secret)
    (runs / "dangling").symlink_to("nowhere")
    os.mkfifo(runs / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, chdir(runs):  # a socket's path must be short
        listener.bind("socket")
    os.link(runs / "good", runs / "second-name")
    result = laptop.run("fetch", "--output", str(output))
    assert result.returncode == 1
    assert files(output) == {"first/good": b"good", "first/second-name": b"good"}
    assert not any(path.is_symlink() for path in output.rglob("*"))
    refused = sorted(line for line in result.stderr.decode().splitlines() if line.startswith("failed: "))
    assert refused == [
        "failed: first/dangling is refused: it is a link",
        "failed: first/folder is refused: it is a link",
        "failed: first/link is refused: it is a link",
        "failed: first/pipe is refused: it is a pipe",
        "failed: first/socket is refused: it is a socket",
    ]


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "first/../../escaped", "first//x", "."])
def test_a_lying_host_cannot_name_a_place_outside(laptop: Laptop, output: Path, name: str) -> None:
    laptop.host("ps")
    write(laptop, "first/good")
    laptop.hosts["ps"].replace_programs(find=f"printf 'f 1 1700000000.0 ./%s\\0' '{name}' first/good")
    result = laptop.run("fetch", "--output", str(output))
    assert result.returncode == 1
    assert b"is refused: it leads out of the folder" in result.stderr
    assert set(files(output.parent / "results")) == {"first/good"}
    assert not (output.parent / "escaped").exists()


def test_what_nobody_asked_for_is_not_written(laptop: Laptop, output: Path) -> None:
    laptop.host("ps")
    write(laptop, "first/good")
    laptop.hosts["ps"].replace_programs(
        tar="cat >/dev/null; exec /bin/tar --create --file=- -P --transform='s,.*,../escaped,' ./first/good"
    )
    result = laptop.run("fetch", "--output", str(output))
    assert result.returncode == 1
    assert b"which nobody asked for" in result.stderr
    assert not (output.parent / "escaped").exists()
    assert not output.exists() or files(output) == {}


def test_an_answer_that_is_no_archive_is_one_line(laptop: Laptop, output: Path) -> None:
    laptop.host("ps")
    write(laptop, "first/good")
    laptop.hosts["ps"].replace_programs(tar="cat >/dev/null; head -c 100000 /dev/urandom; echo 'the disk is on fire' >&2; exit 2")
    result = laptop.run("fetch", "--output", str(output))
    assert result.returncode == 1
    assert result.stderr == b"fetch: ps: what it sends is no archive: the disk is on fire (exit status 2)\n"


def test_an_interrupted_fetch_leaves_no_half_files_and_goes_on(laptop: Laptop, output: Path) -> None:
    laptop.host("ps")
    write(laptop, "first/a", b"small")
    write(laptop, "first/b", b"\0" * 300_000_000)
    write(laptop, "first/c", b"last")
    with laptop.start("fetch", "--output", str(output)) as process:
        wait_for(
            lambda: (output / "first" / "a").exists() and len(list((output / "first").iterdir())) == 2, "the second file begins"
        )
        process.kill()
    assert not (output / "first" / "b").exists()
    result = laptop.run("fetch", "--output", str(output))
    assert fetched(result.stderr) == (2, 1)
    assert (output / "first" / "b").stat().st_size == 300_000_000


def test_a_broken_connection_is_made_again(laptop: Laptop, output: Path) -> None:
    server = laptop.host("ps")
    write(laptop, "first/a", b"small")
    write(laptop, "first/b", b"\0" * 300_000_000)
    with laptop.start("fetch", "--output", str(output)) as process:
        wait_for(
            lambda: (output / "first" / "a").exists() and len(list((output / "first").iterdir())) == 2, "the second file begins"
        )
        end(connections(server))
        assert process.wait(60) == 0, laptop.stderr
    assert b"ps: the connection broke; connecting again" in laptop.stderr
    assert fetched(laptop.stderr) == (2, 0)
    assert (output / "first" / "b").stat().st_size == 300_000_000


def test_a_file_that_grows_meanwhile_comes_as_it_was(laptop: Laptop, output: Path) -> None:
    laptop.host("ps")
    path = write(laptop, "first/log", b"line\n" * 1000)
    with open(path, "ab", buffering=0) as log, laptop.start("fetch", "--output", str(output)) as process:
        while process.poll() is None:
            log.write(b"line\n")
            time.sleep(0.001)
    assert process.returncode == 0
    came = (output / "first" / "log").read_bytes()
    assert path.read_bytes().startswith(came)
    assert len(came) >= 5000
    assert fetched(laptop.run("fetch", "--output", str(output)).stderr) == (1, 0)
    assert (output / "first" / "log").read_bytes() == path.read_bytes()
