"""push makes the hosts' folders equal to the project: by sending what differs, and deleting only what it brought."""

import os
import re
import shutil
import stat
from pathlib import Path

from laptop import Laptop, is_idle
from launcher import PYTHONS
from polling import wait_for

HOSTILE_NAMES = ["a b", "größe.txt", "line\nbreak", "-n", "quote'\"", "back\\slash", "*", "sub dir/-rf x", "$HOME", " "]


def sent(stderr: bytes, alias: str = "ps") -> tuple[int, int]:
    """(files sent, files deleted) as push says."""
    found = re.search(rf"^{alias}: sent (\d+) files \([0-9.]+ MB\)(?:, deleted (\d+))?$", stderr.decode(), re.MULTILINE)
    assert found, stderr
    return int(found[1]), int(found[2] or 0)


def tree(folder: Path) -> dict[bytes, tuple[bool, bytes]]:
    """{name: (executable, content)} of all files of a project or of a host, but the host's own, git's and Python's byte code."""
    files = {}
    for parent, folders, names in os.walk(os.fsencode(folder)):
        if parent == os.fsencode(folder):
            folders[:] = [name for name in folders if name not in (b".git", b".cluster", b"runs", b".venv")]
        folders[:] = [name for name in folders if name != b"__pycache__"]
        for name in names:
            if name.endswith(b".pyc"):
                continue
            path = os.path.join(parent, name)
            content = b"-> " + os.readlink(path) if os.path.islink(path) else Path(os.fsdecode(path)).read_bytes()
            files[os.path.relpath(path, os.fsencode(folder))] = (bool(os.lstat(path).st_mode & 0o100), content)
    return files


@PYTHONS
def test_every_host_gets_the_same_tree_and_a_second_push_sends_nothing(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.host("worker1")
    laptop.write("big", os.urandom(3_000_000))
    laptop.write("empty")
    result = laptop.run("push")
    assert result.returncode == 0
    expected = tree(laptop.project)
    assert tree(laptop.directory("ps")) == expected
    assert tree(laptop.directory("worker1")) == expected
    assert sent(result.stderr) == sent(result.stderr, "worker1") == (len(expected), 0)
    again = laptop.run("push")
    assert sent(again.stderr) == sent(again.stderr, "worker1") == (0, 0)


@PYTHONS
def test_no_private_key_leaves_this_machine(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.write("tools/virginia key.pem", "-----BEGIN OPENSSH PRIVATE KEY-----\n")
    laptop.write("readme.pem", "about -----BEGIN RSA PRIVATE KEY-----\n")
    result = laptop.run("push")
    assert result.returncode == 0
    assert b"tools/virginia key.pem holds a private key, and stays here\n" in result.stderr
    assert (laptop.directory("ps") / "readme.pem").exists()
    assert not (laptop.directory("ps") / "tools").exists()


@PYTHONS
def test_names_may_be_anything(laptop: Laptop) -> None:
    laptop.host("ps")
    for name in HOSTILE_NAMES:
        laptop.write(name, name)
    (laptop.project / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"x")
    long = "/".join(["n" * 90] * 4)
    laptop.write(long, "long")
    assert laptop.run("push").returncode == 0
    found = tree(laptop.directory("ps"))
    assert found == tree(laptop.project)
    assert {name.encode() for name in HOSTILE_NAMES} | {b"not-utf8-\xff", long.encode()} <= set(found)
    assert sent(laptop.run("push").stderr) == (0, 0)
    for name in HOSTILE_NAMES:
        (laptop.project / name).unlink()
    assert sent(laptop.run("push").stderr) == (0, len(HOSTILE_NAMES))
    assert tree(laptop.directory("ps")) == tree(laptop.project)
    assert not (laptop.directory("ps") / "sub dir").exists()


@PYTHONS
def test_only_what_changed_is_sent(laptop: Laptop) -> None:
    laptop.host("ps")
    for name in ("content", "made-executable", "no-longer-executable", "same"):
        laptop.write(name, "old", 0o755 if name.startswith("no-") else 0o644)
    laptop.run("push")
    laptop.write("content", "new")
    laptop.write("made-executable", "old", 0o755)
    laptop.write("no-longer-executable", "old", 0o644)
    laptop.write("added", "x")
    assert sent(laptop.run("push").stderr) == (4, 0)
    assert tree(laptop.directory("ps")) == tree(laptop.project)


def test_a_file_changed_or_lost_on_the_host_is_mended(laptop: Laptop) -> None:
    laptop.host("ps")
    for name in ("one", "two", "three"):
        laptop.write(name, "as here")
    laptop.run("push")
    (laptop.directory("ps") / "one").write_text("as THERE")
    (laptop.directory("ps") / "two").unlink()
    assert sent(laptop.run("push").stderr) == (2, 0)
    assert tree(laptop.directory("ps")) == tree(laptop.project)


def test_what_is_gone_here_is_deleted_there_but_nothing_else(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.write("old/only/file", "x")
    laptop.write("shared/file", "x")
    laptop.run("push")
    own = ["runs/first/summary.json", ".venv/bin/python", ".cluster/hosts", "shared/own", "own-file"]
    for name in own:
        (laptop.directory("ps") / name).parent.mkdir(parents=True, exist_ok=True)
        (laptop.directory("ps") / name).write_text("the host's")
    shutil.rmtree(laptop.project / "old")
    shutil.rmtree(laptop.project / "shared")
    assert sent(laptop.run("push").stderr) == (0, 2)
    assert not (laptop.directory("ps") / "old").exists()
    assert not (laptop.directory("ps") / "shared" / "file").exists()
    assert [(laptop.directory("ps") / name).read_text() for name in own] == ["the host's"] * len(own)


def test_the_hosts_own_folders_are_safe_from_what_its_list_says(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.run("push")
    victims = [
        laptop.directory("ps") / "runs" / "result",
        laptop.directory("ps").parent / "private",
        laptop.directory("ps") / ".cluster/hosts",
    ]
    for path in victims:
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    with open(laptop.directory("ps") / ".cluster" / "pushed", "ab") as manifest:
        manifest.write(b"runs/result\0../private\0/etc/x\0.cluster/hosts\0a//../../private\0")
    assert sent(laptop.run("push").stderr) == (0, 0)
    assert all(path.read_text() == "precious" for path in victims)


def test_a_file_becomes_a_folder_and_back(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.write("thing", "file")
    laptop.run("push")
    (laptop.project / "thing").unlink()
    laptop.write("thing/inside", "x")
    assert laptop.run("push").returncode == 0
    assert tree(laptop.directory("ps")) == tree(laptop.project)
    shutil.rmtree(laptop.project / "thing")
    laptop.write("thing", "file again")
    assert laptop.run("push").returncode == 0
    assert tree(laptop.directory("ps")) == tree(laptop.project)


def test_links_within_the_tree_travel_and_others_are_refused(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.write("folder/file", "x")
    (laptop.project / "folder" / "link").symlink_to("file")
    (laptop.project / "to-folder").symlink_to("folder")
    assert laptop.run("push").returncode == 0
    assert os.readlink(laptop.directory("ps") / "folder" / "link") == "file"
    assert os.readlink(laptop.directory("ps") / "to-folder") == "folder"
    assert sent(laptop.run("push").stderr) == (0, 0)
    for target in ("../../outside", "/etc/passwd", str(laptop.project / "folder")):
        (laptop.project / "bad").symlink_to(target)
        refused = laptop.run("push")
        assert refused.returncode == 2
        assert refused.stderr.startswith(b"push: bad is a link to ")
        (laptop.project / "bad").unlink()


def test_git_says_what_belongs_to_the_project(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.write("tracked", "x")
    laptop.git("add", "tracked")
    laptop.write("ignored.txt", "x")
    laptop.write("runs/first/checkpoint", "x")
    laptop.write("deleted", "x")
    laptop.git("add", "deleted")
    (laptop.project / "deleted").unlink()
    laptop.run("push")
    names = {path.name for path in laptop.directory("ps").iterdir()}
    assert names == {".cluster", ".gitignore", "scripts", "tracked"}


def test_without_git_everything_but_the_generated_goes(laptop: Laptop) -> None:
    laptop.host("ps")
    shutil.rmtree(laptop.project / ".git")
    for name in ("runs/x", ".venv/x", "build/x", "package/__pycache__/x", "package/module.py", ".cluster/x", "package/runs/x"):
        laptop.write(name, "x")
    laptop.run("push")
    found = {name for name in tree(laptop.directory("ps")) if not name.startswith(b"scripts")}
    assert found == {b".gitignore", b"package/module.py", b"package/runs/x"}


def test_an_interrupted_push_is_completed_and_forgets_nothing(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.write("a-first", "x")
    laptop.write("b-big", b"\0" * 400_000_000)
    with laptop.start("push") as process:
        wait_for(lambda: (laptop.directory("ps") / "b-big").exists(), "the big file begins to arrive")
        process.kill()
    wait_for(lambda: is_idle(laptop.directory("ps")), "the host has given up, too")
    for name in ("a-first", "b-big"):
        (laptop.project / name).unlink()
    laptop.write("c", "x")
    result = laptop.run("push")
    assert result.returncode == 0
    assert tree(laptop.directory("ps")) == tree(laptop.project)


def test_the_folder_may_be_anywhere_and_its_list_is_private(laptop: Laptop, tmp_path: Path) -> None:
    laptop.host("ps")
    laptop.settings["node"]["directory"] = f"{tmp_path}/x/y"
    assert laptop.run("push").returncode == 0
    assert tree(tmp_path / "x" / "y") == tree(laptop.project)
    assert stat.S_IMODE((tmp_path / "x" / "y" / ".cluster").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "x" / "y" / ".cluster" / "pushed").stat().st_mode) == 0o600


def test_a_host_that_cannot_take_the_files_is_named_while_the_others_go_on(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.host("worker1")
    laptop.directory("worker1").write_text("a file where the folder should be")
    result = laptop.run("push")
    assert result.returncode == 1
    assert b"failed: worker1: mkdir: cannot create directory" in result.stderr
    assert sent(result.stderr)[0] > 0
