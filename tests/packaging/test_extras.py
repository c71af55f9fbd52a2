"""Without the packages of an extra, a command that needs them says which extra it is."""

import subprocess
import sys

import pytest

HIDE = "import sys; sys.modules[sys.argv[1]] = None; from byzshield.cli.main import main; sys.exit(main(sys.argv[2:]))"
DISTORTION = ["distortion", "--scheme", "mols", "--load", "5", "--replication", "3", "--byzantine", "3"]


@pytest.mark.parametrize(
    ("package", "extra", "words"),
    [
        ("mpi4py", "mpi", ["train", "run.toml"]),
        ("matplotlib", "plots", ["report", "runs/first"]),
        ("matplotlib", "plots", [*DISTORTION, "--plot", "epsilon.png"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_missing_package_ends_in_one_line_that_names_its_extra(package: str, extra: str, words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", HIDE, package, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f'byzshield: {package} is needed and not installed; pip install "byzshield[{extra}]"\n'


def test_what_draws_nothing_does_without_matplotlib() -> None:
    done = subprocess.run([sys.executable, "-c", HIDE, "matplotlib", *DISTORTION], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
