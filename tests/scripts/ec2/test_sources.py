"""What the launcher's sources promise: Python 2.7 and 3.6 onwards, quick help, and one import of each package."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launcher import LAUNCHER, PYTHON2, PYTHONS, run_launcher

SOURCES = sorted(LAUNCHER.glob("*.py"))


def test_vermin_finds_nothing_newer_than_2_7_and_3_6() -> None:
    vermin = [str(Path(sys.executable).parent / "vermin"), "-t=2.7-", "-t=3.6-", "--no-tips", str(LAUNCHER)]

    result = subprocess.run(vermin, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_every_file_compiles_under_python_2(tmp_path: Path) -> None:
    shutil.copytree(LAUNCHER, tmp_path / "ec2", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))

    result = subprocess.run([str(PYTHON2), "-m", "compileall", "-q", "."], cwd=tmp_path / "ec2", capture_output=True, text=True)

    assert result.returncode == 0, result.stdout
    assert len(list((tmp_path / "ec2").glob("*.pyc"))) == len(SOURCES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_both_pythons_read_text_the_same(source: Path) -> None:
    lines = source.read_text().splitlines()

    assert "from __future__ import absolute_import, print_function, unicode_literals" in lines
    assert not [line for line in lines if line.startswith(("import byzshield", "from byzshield"))]


@pytest.mark.parametrize(("package", "importer"), [("boto", "instances.py"), ("paramiko", "remote.py")])
def test_each_package_is_imported_in_one_file(package: str, importer: str) -> None:
    users = {
        source.name for source in SOURCES if f'"{package}' in source.read_text() or f"import {package}" in source.read_text()
    }

    assert users == {importer}


@PYTHONS
def test_help_loads_no_package_and_is_quick(python: str) -> None:
    started = time.monotonic()

    result = run_launcher(python, "--help", env={"PYTHONVERBOSE": "1"})

    assert time.monotonic() - started < 5
    assert "launch" in result.stdout
    loaded = [line.split("#")[0] for line in result.stderr.splitlines() if line.startswith("import ")]
    assert any("argparse" in line for line in loaded)
    assert not [line for line in loaded for package in ("boto", "paramiko", "joblib") if package in line]


@PYTHONS
def test_every_command_explains_itself_with_an_example(python: str) -> None:
    names = run_launcher(python, "--help").stdout.split("{")[-1]
    cloud = ("launch", "status", "list-running", "list-idle", "hosts", "stop", "terminate")
    hosts = ("setup", "push", "run", "train", "logs", "fetch", "stop-job")
    for name in cloud + hosts:
        assert name in names
        result = run_launcher(python, name, "--help")
        assert result.returncode == 0
        assert f"example: python scripts/ec2 {name} --config configs/clusters/example.json" in result.stdout


@PYTHONS
def test_a_missing_package_says_what_to_install(python: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"region": "us-east-1", "workers": {"count": 1}}')
    (tmp_path / "boto3.py").write_text("raise ImportError('no module named boto3')\n")
    script = (
        "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = sys.argv.pop(1); "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )

    result = subprocess.run(
        [python, "-c", script, str(tmp_path), str(LAUNCHER), "status", "--config", str(tmp_path / "cluster.json")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert result.stderr.endswith("pip install -r requirements-local.txt\n")
    assert result.stderr.count("\n") == 1


@PYTHONS
@pytest.mark.parametrize("words", [[], ["fly"], ["launch"]], ids=["nothing", "an unknown command", "no configuration"])
def test_a_wrong_command_line_shows_the_usage(python: str, words: list[str]) -> None:
    result = run_launcher(python, *words)

    assert result.returncode == 2
    assert "usage: python scripts/ec2" in result.stderr
