"""What a user gets: an sdist, the wheel that is built from it, and the command in an environment of its own."""

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from made_once import made_once
from needs import need

REPOSITORY = Path(__file__).parents[2]
# Settings of the packaged example under which no kernel need be compiled, which takes longer than all the rest.
QUICK = ["run.steps=2", "run.eval_every=0", "model.name=mlp", "aggregation.rule=mean", "attack.selection=first"]
STARTS = pytest.mark.parametrize("start", [["byzshield"], ["python", "-m", "byzshield"]], ids=["command", "module"])
MY_PLACEMENT = """
from byzshield.placement import build


def mine():
    return build("baseline", num_workers=2)
"""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment whose only own package is byzshield, from the wheel that is built from the sdist."""

    sdist: Path
    wheel: Path
    environment: Path

    def run(self, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs one of the environment's commands in a folder."""
        command = [str(self.environment / "bin" / words[0]), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=_clean())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    need("git")
    scratch = made_once(tmp_path_factory, "packaging", build_and_install)
    (sdist,), (wheel,) = scratch.glob("*.tar.gz"), scratch.glob("*.whl")
    return Installed(sdist=sdist, wheel=wheel, environment=scratch / "environment")


def build_and_install(scratch: Path) -> None:
    """The sdist, its wheel, and the environment, in this folder."""
    source = _copy_of_the_repository(scratch / "source")
    _python("-m", "build", "--sdist", "--no-isolation", "--outdir", str(scratch), str(source))
    (sdist,) = scratch.glob("*.tar.gz")
    offline = ("--quiet", "--no-index", "--no-deps")
    _python("-m", "pip", "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(scratch), str(sdist))
    (wheel,) = scratch.glob("*.whl")
    environment = scratch / "environment"
    _python("-m", "venv", "--without-pip", str(environment))
    _python("-m", "pip", "--python", str(environment), "install", *offline, str(wheel))
    # It sees this environment's packages, but not what their .pth files point to, such as this checkout.
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))


def test_the_sdist_holds_all_that_building_needs_and_no_tests(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"setup.py", "pyproject.toml", "requirements-remote.txt", "requirements-local.txt", "README.md", "LICENSE"} <= names
    assert {"byzshield/py.typed", "byzshield/data/mnist5k.npz", "configs/runs/quickstart.toml"} <= names
    assert not [name for name in names if name.startswith(("tests", "scripts", ".")) or "__pycache__" in name]


def test_the_wheel_holds_the_package_its_data_and_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    about, data = ("byzshield-" + installed.wheel.name.split("-")[1] + suffix for suffix in (".dist-info", ".data"))
    modules = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("byzshield/**/*.py")}
    assert names - {name for name in names if name.startswith(about)} == modules | {
        "byzshield/py.typed",
        "byzshield/data/mnist5k.npz",
        "byzshield/data/mnist5k.txt",
        "byzshield/cli/template/run.toml",
        "byzshield/cli/template/pytest.ini",
        *(
            f"{data}/data/share/byzshield/{path.parent.name}/{path.name}"
            for kind in ("runs", "sweeps")
            for path in REPOSITORY.glob(f"configs/{kind}/*.toml")
        ),
    }
    assert {f"{about}/licenses/LICENSE", f"{about}/licenses/byzshield/data/mnist5k.txt"} <= names


def test_metadata_has_the_version_of_the_package_and_each_requirement_in_its_extra(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    requirements = metadata.get_all("Requires-Dist", [])
    always = {requirement for requirement in requirements if "extra ==" not in requirement}
    of = {
        extra: {r.split(";")[0] for r in requirements if f'extra == "{extra}"' in r} for extra in ("mpi", "plots", "all", "test")
    }
    assert set(metadata.get_all("Provides-Extra", [])) == set(of)
    listed = (REPOSITORY / "requirements-remote.txt").read_text(encoding="utf-8").splitlines()
    nodes = {line.split("#")[0].strip() for line in listed} - {""}
    assert always | of["mpi"] | of["plots"] == nodes
    assert {requirement.split(">")[0] for requirement in of["mpi"]} == {"mpi4py", "openmpi"}
    assert {requirement.split(">")[0] for requirement in of["plots"]} == {"matplotlib"}
    assert of["all"] == of["mpi"] | of["plots"] <= of["test"]
    assert not always & of["all"]
    assert installed.run("byzshield", "--version", folder=REPOSITORY).stdout == f"byzshield {metadata['Version']}\n"


def test_a_packaged_example_is_simulated_by_the_installed_package(installed: Installed, tmp_path: Path) -> None:
    where = installed.run("python", "-c", "import byzshield; print(byzshield.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.environment)
    example = installed.environment / "share" / "byzshield" / "runs" / "quickstart.toml"
    settings = [word for setting in QUICK for word in ("--set", setting)]
    done = installed.run("byzshield", "simulate", str(example), *settings, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "quickstart" / "summary.json").is_file()


@STARTS
def test_a_component_of_ones_own_is_found_in_the_current_folder(start: list[str], installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "my_placement.py").write_text(MY_PLACEMENT)
    words = [*start, "placement", "--scheme", "my_placement:mine"]
    found = installed.run(*words, folder=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "worker 1: files 1"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = installed.run(*words, folder=elsewhere)
    assert refused.returncode == 2
    assert "'my_placement:mine' cannot be imported" in refused.stderr


@STARTS
def test_a_file_in_the_current_folder_takes_the_place_of_no_installed_module(
    start: list[str], installed: Installed, tmp_path: Path
) -> None:
    (tmp_path / "wave.py").write_text("raise ImportError('not the one of the standard library')\n")
    (tmp_path / "my_placement.py").write_text(f"import wave\n{MY_PLACEMENT}")
    done = installed.run(*start, "placement", "--scheme", "my_placement:mine", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def _copy_of_the_repository(folder: Path) -> Path:
    """The files that git knows or would add, as a clean checkout has them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout
    for name in filter(None, names.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    return folder


def _python(*words: str) -> None:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=_clean())
    assert done.returncode == 0, done.stdout + done.stderr


def _clean() -> dict[str, str]:
    """This environment without what would let an interpreter find the checkout, or have pip ask a network."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in dropped} | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
