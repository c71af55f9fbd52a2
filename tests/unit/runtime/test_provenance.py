"""What a run records beside its metrics."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import byzshield
from byzshield.config import RunConfig
from byzshield.errors import RunStopped
from byzshield.placement import build
from byzshield.runtime import provenance
from byzshield.runtime.jobs import simulate


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_run_records_who_held_what_who_lied_who_voted_alike_and_by_what_it_was_made(
    tiny_run: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/byzshield", "simulate", "my run.toml"])
    directory, _ = simulate(tiny_run(attack={"num_byzantine": 3}))
    placement, agreement = read(directory.placement), read(directory.agreement)
    assert placement["files_of"] == build("mols", num_workers=15, replication=3).files_of.tolist()
    assert (build("custom", path=str(directory.placement)).files_of == placement["files_of"]).all()
    liars = set(placement["byzantine"])
    assert (len(liars), len(placement["corrupted_files"])) == (3, 3)
    assert agreement["step"] == 4
    unlike = {(low in liars) != (high in liars): unlike / common for low, high, common, unlike in agreement["pairs"]}
    assert unlike == {True: 1.0, False: 0.0}
    (job,) = map(json.loads, directory.jobs.read_text().splitlines())
    assert (job["step"], job["command"], job["ranks"]) == (0, "byzshield simulate 'my run.toml'", 2)
    assert job["byzshield"] == byzshield.__version__
    assert {"host", "python", "torch", "numpy", "processor", "cores", "began"} <= job.keys()


def test_a_run_that_was_stopped_and_goes_on_counts_on_and_adds_a_job(tiny_run: Callable[..., RunConfig], tmp_path: Path) -> None:
    def config(name: str) -> RunConfig:
        # In the digest exchange a job that resumes asks others again whom to compute at once, so that other votes are compared.
        cluster = {"exchange": "full"}
        return tiny_run(run={"name": name, "output_dir": str(tmp_path)}, attack={"num_byzantine": 3}, cluster=cluster)

    whole, _ = simulate(config("whole"))
    asked = iter((False, False, True))
    with pytest.raises(RunStopped):
        simulate(config("halves"), stop=lambda: next(asked))
    halves, _ = simulate(config("halves"), resume=True)
    assert read(halves.agreement) == read(whole.agreement)
    assert [json.loads(line)["step"] for line in halves.jobs.read_text().splitlines()] == [0, 2]


def test_no_votes_are_compared_where_nobody_shares_a_file(tiny_run: Callable[..., RunConfig]) -> None:
    directory, _ = simulate(tiny_run(placement={"scheme": "baseline"}, run={"steps": 1}))
    assert not directory.agreement.exists()


def test_the_commit_is_that_of_a_checkout_and_marked_where_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "byzshield" / "__init__.py"
    package.parent.mkdir()
    package.touch()
    monkeypatch.setattr(byzshield, "__file__", str(package))
    assert provenance._commit() is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=me", "-c", "user.email=me@localhost"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=first"], check=True)
    commit = provenance._commit()
    assert commit is not None
    assert len(commit) == 40
    package.write_text("changed")
    assert provenance._commit() == f"{commit}-dirty"
