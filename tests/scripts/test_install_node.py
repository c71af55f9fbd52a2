"""install_node.sh: a real pip with wheels of the test's own, a real apt with a system of its own, a real mount."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from loopback_hosts import PYTHON, make_project, make_quick_python, make_wheel, run_script, snapshot
from needs import need, need_root, skip
from polling import wait_for


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "a folder with spaces")


def install(project: Path, *words: str, python: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """To make a virtual environment takes seconds: where a test is not about that, it names no Python."""
    python, wheels = python or make_quick_python(project.parent), str(project.parent / "wheels")
    return run_script(project, "install_node.sh", "--python", python, "--wheels", wheels, *words, env=env, timeout=150)


def forget(project: Path) -> None:
    """Makes the next installation do all of its work again, as a new host would."""
    for stamp in (project / ".venv").glob(".installed-node-*"):
        stamp.unlink()


def version_of(project: Path, module: str) -> str:
    words = [project / ".venv" / "bin" / "python", "-c", f"import {module}; print({module}.VERSION)"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def make_index(folder: Path, *wheels: tuple[str, str]) -> str:
    """Makes a package index of small wheels; returns its URL."""
    for name, version in wheels:
        page = make_wheel(folder / name, name, version).parent / "index.html"
        page.write_text("".join(f'<a href="{wheel.name}">{wheel.name}</a>' for wheel in page.parent.glob("*.whl")))
    return folder.as_uri()


def test_the_environment_comes_from_the_wheels_and_a_second_call_changes_nothing(project: Path) -> None:
    elsewhere = make_wheel(project.parent / "elsewhere", "standin", "9.0")
    configured = {"PIP_FIND_LINKS": str(elsewhere.parent)}
    done = install(project, python=PYTHON, env=configured)
    assert done.returncode == 0, done.stderr
    words = "import standin, byzshield; print(standin.VERSION, byzshield.__path__[0])"
    python = project / ".venv" / "bin" / "python"
    found = subprocess.run([python, "-B", "-c", words], capture_output=True, text=True, cwd=project.parent, check=True)
    assert found.stdout == f"1.0 {project / 'byzshield'}\n"
    before, begin = snapshot(project), time.monotonic()
    again = install(project, python=PYTHON, env=configured)
    assert (again.returncode, again.stdout) == (0, f"This node is ready: {project}\n")
    assert time.monotonic() - begin < 1.0
    assert snapshot(project) == before


def test_the_command_runs_from_any_folder(project: Path, tmp_path: Path) -> None:
    assert install(project).returncode == 0
    # What the program needs besides, the tests' own environment has.
    packages = str(Path(pytest.__file__).parents[1])
    command = [project / ".venv" / "bin" / "byzshield", "list", "placements"]
    environment = {**os.environ, "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "mols" in done.stdout


def test_the_first_installation_writes_the_lock_and_every_later_one_obeys_it(project: Path) -> None:
    wheel = make_wheel(project.parent / "wheels", "standin")
    assert install(project).returncode == 0
    lock, locked = project / ".cluster" / "requirements.lock", project / ".cluster" / "locked"
    first, line = lock.read_text().splitlines()
    assert first.startswith(f"# For CPython {platform.python_version()} Linux ")
    assert line == f"standin==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"

    make_wheel(wheel.parent, "standin", "2.0")
    forget(project)
    shutil.rmtree(locked)
    assert install(project).returncode == 0, "another host, later"
    assert version_of(project, "standin") == "1.0"
    assert sorted(path.name for path in locked.iterdir()) == ["lock", wheel.name]

    with zipfile.ZipFile(locked / wheel.name, "a") as changed:
        changed.writestr("standin/more.py", "")
    forget(project)
    refused = install(project)
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("scripts: pip cannot install what .cluster/requirements.lock lists")

    given = project / "given.lock"
    given.write_text(f"standin==2.0 --hash=sha256:{hashlib.sha256(next(wheel.parent.glob('*2.0*')).read_bytes()).hexdigest()}\n")
    assert install(project, "--lock", "given.lock").returncode == 0
    assert version_of(project, "standin") == "2.0"
    assert lock.read_text() == given.read_text()


def test_requirements_that_the_lock_lacks_are_refused_until_it_is_deleted(project: Path) -> None:
    assert install(project).returncode == 0
    with (project / "requirements-remote.txt").open("a") as file:
        file.write("another\n")
    make_wheel(project.parent / "wheels", "another")
    failed = install(project)
    assert failed.returncode == 1
    assert "No matching distribution found for another" in failed.stderr
    assert failed.stderr.splitlines()[-1] == (
        "scripts: .cluster/requirements.lock does not have what requirements-remote.txt asks for; delete the lock "
        "(of a cluster: HOSTS.lock on your machine), and the next setup makes a new one for all hosts"
    )
    (project / ".cluster" / "requirements.lock").unlink()
    assert install(project).returncode == 0
    assert version_of(project, "another") == "1.0"


def test_wheels_that_are_missing_are_an_error(project: Path) -> None:
    (project / "requirements-remote.txt").write_text("another\n")
    failed = install(project)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith(
        "scripts: pip cannot get what requirements-remote.txt asks for from the wheels in"
    )
    assert not (project / ".cluster" / "requirements.lock").exists()


def test_a_host_without_a_gpu_takes_torch_from_the_index_of_its_own(project: Path, tmp_path: Path) -> None:
    (project / "requirements-remote.txt").write_text("standin\ntorch>=2\n")
    everything = make_index(tmp_path / "everything", ("standin", "1.0"), ("torch", "3.0"))
    for_cpus = make_index(tmp_path / "cpu", ("torch", "1.0+cpu"), ("torch", "2.1+cpu"))
    tools = tmp_path / "tools"
    tools.mkdir()
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": everything, "PIP_FIND_LINKS": "", "TORCH_INDEX": for_cpus}
    environment = {**pip, "PATH": f"{tools}:{os.environ['PATH']}"}
    nvidia_smi = tools / "nvidia-smi"
    nvidia_smi.touch(0o755)
    for answer, version in (("exit 9", "2.1+cpu"), ("echo 'GPU 0: H100'", "3.0")):
        nvidia_smi.write_text(f"#!/bin/sh\n{answer}\n")
        words = ["--python", make_quick_python(tmp_path)]
        done = run_script(project, "install_node.sh", *words, env=environment, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        assert version_of(project, "torch") == version
        assert f"torch=={version} --hash" in (project / ".cluster" / "requirements.lock").read_text()
        (project / ".cluster" / "requirements.lock").unlink()


def test_an_environment_that_was_left_half_made_is_completed(project: Path) -> None:
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    done = install(project, python=PYTHON)
    assert done.returncode == 0, done.stderr
    subprocess.run([project / ".venv" / "bin" / "python", "-c", "import standin"], check=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--what", "ever"], "there is no option --what"),
        (["--wheels"], "--wheels is no option, or has no value"),
        (["--requirements", "no.txt"], "has no file no.txt"),
        (["--wheels", "no-folder"], "has no folder no-folder"),
        (["--lock", "no.lock"], "has no file no.lock"),
        (["--torch-index", "pytorch"], "--torch-index must begin with https:// or file:///, got 'pytorch'"),
        (["--packages", "--purge"], "'--purge' is not the name of a package"),
        (["--only-mount"], "--only-mount needs --mount-source"),
        (["--mount-point", "/mnt/x"], "--mount-source, --mount-point and --mount-type go together"),
        (["--mount-source", "a b", "--mount-point", "/mnt/x", "--mount-type", "none"], "'a b' cannot stand in /etc/fstab"),
        (
            ["--mount-source", "a", "--mount-point", "x", "--mount-type", "none"],
            "the mount point must be an absolute path, got x",
        ),
        (["--mount-source", "a", "--mount-point", "/mnt/../etc", "--mount-type", "none"], "must be an absolute path"),
    ],
)
def test_a_wrong_request_changes_nothing(project: Path, words: list[str], message: str) -> None:
    done = install(project, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (project / ".venv").exists()


class PrivateApt:
    """apt and dpkg for a system below `folder`, with one package to be had: byzshield-standin."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "system"
        self.dpkg = self.root / "var" / "lib" / "dpkg"
        self.lists = folder / "state" / "lists"
        repository, package = folder / "repository", folder / "package"
        for made in (self.dpkg / "info", self.dpkg / "updates", self.lists / "partial", folder / "cache", folder / "log"):
            made.mkdir(parents=True)
        for name in ("status", "available"):
            (self.dpkg / name).touch()
        repository.mkdir()
        (package / "DEBIAN").mkdir(parents=True)
        (package / "usr" / "share").mkdir(parents=True)
        (package / "usr" / "share" / "byzshield-standin").write_text("installed\n")
        control = (
            "Package: byzshield-standin\nVersion: 1.0\nArchitecture: all\n"
            "Maintainer: test <test@localhost>\nDescription: a stand-in\n"
        )
        (package / "DEBIAN" / "control").write_text(control)
        built = repository / "byzshield-standin.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", package, built], check=True, capture_output=True)
        digest = hashlib.sha256(built.read_bytes()).hexdigest()
        index = f"{control}Filename: ./{built.name}\nSize: {built.stat().st_size}\nSHA256: {digest}\n"
        (repository / "Packages").write_text(index)
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
        (folder / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "-";\nDir::State "{folder}/state";\n'
            f'Dir::State::status "{self.dpkg}/status";\nDir::Cache "{folder}/cache";\nDir::Log "{folder}/log";\n'
            f'DPkg::Options {{ "--root={self.root}"; "--force-script-chrootless"; }};\nAPT::Sandbox::User "root";\n'
            "#clear DPkg::Pre-Install-Pkgs;\n#clear DPkg::Post-Invoke;\n#clear APT::Update::Post-Invoke;\n"
        )
        self.environment = {"APT_CONFIG": str(folder / "apt.conf"), "DPKG_ADMINDIR": str(self.dpkg)}


@pytest.fixture
def apt(tmp_path: Path) -> PrivateApt:
    need("apt-get", "dpkg-deb", "dpkg-query")
    need_root()
    return PrivateApt(tmp_path)


def test_missing_packages_are_installed_and_those_that_are_there_are_not_touched(project: Path, apt: PrivateApt) -> None:
    done = install(project, "--packages", "byzshield-standin", env=apt.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Installing byzshield-standin ..." in done.stdout
    assert (apt.root / "usr" / "share" / "byzshield-standin").read_text() == "installed\n"
    again = install(project, "--packages", "byzshield-standin", env=apt.environment)
    assert (again.returncode, again.stdout) == (0, f"This node is ready: {project}\n")


def test_a_package_that_nobody_has_is_an_error(project: Path, apt: PrivateApt) -> None:
    done = install(project, "--packages", "byzshield-nowhere", env=apt.environment)
    assert done.returncode == 1
    assert "install_node: apt-get cannot install byzshield-nowhere" in done.stderr


@pytest.mark.parametrize("name", ["lists", "dpkg"])
def test_it_waits_for_another_apt_to_end(project: Path, apt: PrivateApt, name: str) -> None:
    path, sign = {
        "lists": (apt.lists / "lock", "Waiting for another apt"),
        "dpkg": (apt.dpkg / "lock-frontend", "Waiting for cache lock"),
    }[name]
    with path.open("w") as lock, tempfile.TemporaryFile("w+") as output:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        python = make_quick_python(project.parent)
        command = ["bash", project / "scripts" / "install_node.sh", "--packages", "byzshield-standin", "--python", python]
        process = subprocess.Popen(
            [*command, "--wheels", project.parent / "wheels"], env={**os.environ, **apt.environment}, stdout=output, stderr=output
        )

        def said() -> str:
            return os.pread(output.fileno(), 100_000, 0).decode()

        wait_for(lambda: sign in said() or process.poll() is not None, sign, seconds=30)
        assert process.poll() is None, said()
        fcntl.lockf(lock, fcntl.LOCK_UN)
        assert process.wait(45) == 0
    assert (apt.root / "usr" / "share" / "byzshield-standin").exists()


def test_without_root_the_missing_packages_are_named(apt: PrivateApt) -> None:
    need("setpriv")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        project = make_project(Path(folder) / "project")
        shutil.chown(project, 65534, 65534)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", project / "scripts" / "install_node.sh"]
        done = subprocess.run([*command, "--packages", "byzshield-nowhere"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "these packages are missing: byzshield-nowhere; run 'sudo apt-get install byzshield-nowhere'" in done.stderr


@pytest.fixture
def own_etc(tmp_path: Path) -> list[str]:
    """Words that run a command where mounts, and changes below /etc, are seen by nobody else."""
    need("unshare", "findmnt")
    need_root()
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        skip("the kernel lets nobody mount here")
    etc = tmp_path / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    (etc / "fstab").write_text("# the administrator's\n/dev/none /mnt/other ext4 noauto 0 2\n")
    return ["unshare", "--mount", "--propagation", "private", "bash", "-euc", f"mount --bind '{etc}' /etc; $1", "bash"]


def mount(own_etc: list[str], project: Path, *calls: str) -> subprocess.CompletedProcess[str]:
    """Runs shell commands there, in which `node` mounts `$source` on `$point` with the options given to it."""
    shared = project.parent / "shared"
    shared.mkdir(exist_ok=True)
    script = (
        f"source={shared} point={project.parent}/point\n"
        f"node() {{ bash '{project}/scripts/install_node.sh' --only-mount --mount-source $source --mount-point $point"
        ' --mount-type "${2:-none}" --mount-options "$1"; }\n' + "\n".join(calls)
    )
    command = [*own_etc]
    command[-2] = command[-2].replace("$1", 'eval "$1"')
    return subprocess.run([*command, script], capture_output=True, text=True, timeout=60)


def test_a_file_system_is_mounted_and_stays_in_fstab_once(own_etc: list[str], project: Path) -> None:
    done = mount(
        own_etc,
        project,
        "node bind",
        "node bind",
        "echo hello >$point/file",
        "cat $source/file",
        "cat /etc/fstab",
        "stat -c %a $point",
    )
    assert done.returncode == 0, done.stderr
    folder = project.parent
    assert done.stdout.splitlines() == [
        f"Mounting {folder}/shared on {folder}/point ...",
        f"This node is ready: {project}",
        f"{folder}/shared is mounted on {folder}/point.",
        f"This node is ready: {project}",
        "hello",
        "# the administrator's",
        "/dev/none /mnt/other ext4 noauto 0 2",
        f"{folder}/shared {folder}/point none bind,nofail,x-byzshield 0 0",
        "755",
    ]
    assert not (project / ".venv").exists(), "only the mount was asked for"
    assert not (folder / "point" / "file").exists(), "the test's mount is its own"


def test_other_options_replace_the_line_and_are_in_force(own_etc: list[str], project: Path) -> None:
    done = mount(
        own_etc,
        project,
        "node bind",
        "node bind,ro >/dev/null",
        "tail -n 1 /etc/fstab",
        "! touch $point/file",
        "wc -l </etc/fstab",
    )
    assert done.returncode == 0, done.stderr
    assert "Read-only file system" in done.stderr
    assert done.stdout.splitlines()[-2:] == [
        f"{project.parent}/shared {project.parent}/point none bind,ro,nofail,x-byzshield 0 0",
        "3",
    ]


def test_a_network_file_system_does_not_hold_up_a_start(own_etc: list[str], project: Path) -> None:
    done = mount(own_etc, project, "source=127.0.0.1:/nothing", "node defaults cifs || echo failed", "tail -n 1 /etc/fstab")
    assert done.stdout.splitlines()[-2:] == [
        "failed",
        f"127.0.0.1:/nothing {project.parent}/point cifs defaults,nofail,x-byzshield,_netdev 0 0",
    ]
    assert "127.0.0.1:/nothing does not mount on" in done.stderr


def test_files_are_not_hidden_and_other_mounts_are_not_replaced(own_etc: list[str], project: Path) -> None:
    mkdir = "mkdir -p $point"
    full = mount(own_etc, project, mkdir, "touch $point/file", "node bind || echo refused")
    assert "refused" in full.stdout
    assert "holds files that the mount would hide" in full.stderr
    (project.parent / "point" / "file").unlink()
    other = mount(own_etc, project, mkdir, "mount -t tmpfs none $point", "node bind || echo refused")
    assert "refused" in other.stdout
    assert "something that this script did not mount is on" in other.stderr
    line = mount(
        own_etc, project, 'echo "/dev/none $point ext4 noauto 0 2" >>/etc/fstab', "node bind || echo refused", "wc -l </etc/fstab"
    )
    assert line.stdout.splitlines()[-2:] == ["refused", "3"]
    assert "/etc/fstab mounts something else on" in line.stderr
