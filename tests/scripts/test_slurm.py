"""The Slurm script on a real cluster: jobs over two nodes that are stopped, queued again and resumed."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import latest_checkpoint
from drowsy import drowsy
from needs import need, need_root, skip
from polling import wait_for
from slurm_cluster import ASKING, TOOLS, SlurmCluster, pmix_library

from byzshield.config import RunConfig, dump
from byzshield.runtime import simulate
from byzshield.runtime.metrics import read_metrics

REPOSITORY = Path(__file__).parents[2]
SCRIPT = str(REPOSITORY / "scripts" / "slurm" / "train.sbatch")
FOUR_RANKS = ("--ntasks-per-node=2", "--ntasks=4")
ENDLESS = {"run": {"steps": 100_000}, "model": drowsy(0.02)}
RANK = re.compile(r"\S*python -m mpi4py -m byzshield train")
Maker = Callable[..., RunConfig]
Weights = dict[str, torch.Tensor]
pytestmark = [pytest.mark.mpi, pytest.mark.timeout(290)]


class Job:
    """A training job with a rank on each of the two nodes, submitted as a user does it."""

    def __init__(
        self, cluster: SlurmCluster, folder: Path, config: RunConfig, *flags: str, words: tuple[str, ...], **environment: str
    ):
        run_file = folder / f"{config.run.name}.toml"
        run_file.write_text(dump(config))
        self._cluster = cluster
        self._log = folder / f"{config.run.name}.log"
        self.run = Path(config.run.output_dir) / config.run.name
        command = ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=1", "--ntasks=2", "--mem-per-cpu=500"]
        command += [f"--output={self._log}", *flags, SCRIPT, str(run_file), *words]
        environment = {**cluster.environment, "PYTHONPATH": str(REPOSITORY / "tests"), **environment}
        self.number = cluster.call(command, cwd=REPOSITORY, env=environment).strip()

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    @property
    def steps(self) -> list[int]:
        metrics = self.run / "metrics.jsonl"
        return [line["step"] for line in read_metrics(metrics)] if metrics.exists() else []

    def wait_for_steps(self, count: int) -> None:
        self._wait(lambda: len(self.steps) >= count, f"{count} steps")

    def wait_for(self, **state: str) -> None:
        """Waits until `scontrol show job` says this."""
        self._wait(lambda: state.items() <= self._cluster.job(self.number).items(), str(state), every=ASKING)

    def start_soon(self) -> None:
        """Has a job that was queued again start before its two minutes are over, but not in the second in which it was ended:
        slurmd tells one start's credential from the next one's by the second."""
        self._wait(self._cluster.is_idle, "idle nodes", every=ASKING)
        self._cluster.call(["scontrol", "update", f"JobId={self.number}", "StartTime=now+3"])

    def limit(self, minutes: int) -> None:
        """Changes the time that the job may take from its start."""
        self._cluster.call(["scontrol", "update", f"JobId={self.number}", f"TimeLimit={minutes}"])

    def signal(self, name: str) -> None:
        self._cluster.call(["scancel", "--batch", f"--signal={name}", self.number])

    def _wait(self, condition: Callable[[], Any], what: str, **options: float) -> None:
        try:
            wait_for(condition, what, seconds=100, **options)
        except AssertionError as error:
            error.add_note(f"{self.log}\n{self._cluster.job(self.number)}\n{self._cluster.log()}")
            raise


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    need_root()
    need(*TOOLS)
    slurm = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture
def submit(cluster: SlurmCluster, tiny_run: Maker, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Returns a function that submits a tiny run; no job outlives the test."""

    def make(
        name: str, *flags: str, words: tuple[str, ...] = (), sections: dict[str, Any] | None = None, **environment: str
    ) -> Job:
        sections = {**ENDLESS, **(sections or {})}
        config = tiny_run(**{**sections, "run": {**sections["run"], "name": name}})
        return Job(cluster, tmp_path, config, *flags, words=words, **environment)

    yield make
    cluster.cancel_all()


@pytest.mark.parametrize("launch", ["mpirun", "srun"])
def test_a_job_that_is_stopped_and_queued_again_ends_as_if_it_had_not_been(
    cluster: SlurmCluster,
    submit: Callable[..., Job],
    tiny_run: Maker,
    weights_of: Callable[[Path], Weights],
    same_weights: Callable[[Weights, Weights], bool],
    launch: str,
) -> None:
    if launch == "srun" and not pmix_library():
        skip("srun's PMIx plugin needs Debian's package libpmix-dev")
    sections = {"run": {"steps": 60}, "optimizer": {"momentum": 0.9}}
    job = submit(
        launch, *FOUR_RANKS, words=("--overwrite",), sections={**sections, "model": drowsy(0.002)}, BYZSHIELD_LAUNCH=launch
    )
    job.wait_for_steps(5)
    ranks = [sum(map(bool, map(RANK.match, cluster.processes(node).values()))) for node in ("node1", "node2")]
    assert ranks == [2, 2]
    job.signal("USR1")
    job.wait_for(JobState="PENDING", Restarts="1")
    stopped_at = job.steps[-1]
    assert json.loads((job.run / "summary.json").read_text())["status"] == "stopped"
    job.start_soon()
    job.wait_for(JobState="COMPLETED", Restarts="1")
    assert f"resumed from {job.run}/checkpoints/step_{stopped_at}.pt" in job.log
    assert job.steps == list(range(1, 61))
    whole, _ = simulate(tiny_run(**{**sections, "run": {"steps": 60, "name": "whole"}}))
    assert same_weights(weights_of(job.run), weights_of(whole.path))


def test_a_job_near_its_time_limit_stores_a_checkpoint_and_is_queued_again(submit: Callable[..., Job]) -> None:
    # Slurm looks every half a minute: it finds the end of the shortened time to be near already.
    job = submit("limited", "--time=10", "--signal=B:USR1@120")
    job.wait_for_steps(1)
    job.limit(minutes=2)
    job.wait_for(JobState="PENDING", Restarts="1")
    assert "back into the queue" in job.log
    assert latest_checkpoint(job.run / "checkpoints") == job.run / "checkpoints" / f"step_{job.steps[-1]}.pt"


def test_a_job_that_must_make_way_stores_a_checkpoint_and_is_queued_again(
    cluster: SlurmCluster, submit: Callable[..., Job]
) -> None:
    job = submit("preempted", "--exclusive")
    job.wait_for_steps(2)
    assert cluster.call(["srun", "--partition=urgent", "--nodes=2", "hostname"]).split() != []
    job.wait_for(JobState="PENDING", Restarts="1")
    assert latest_checkpoint(job.run / "checkpoints") == job.run / "checkpoints" / f"step_{job.steps[-1]}.pt"


def test_a_rank_that_dies_is_counted_as_lost_and_the_job_goes_on(cluster: SlurmCluster, submit: Callable[..., Job]) -> None:
    job = submit("bereft", *FOUR_RANKS, sections={"run": {"steps": 60}, "model": drowsy(0.002)})
    job.wait_for_steps(2)
    victim = max(pid for pid, command in cluster.processes("node2").items() if RANK.match(command))
    os.kill(victim, signal.SIGKILL)
    job.wait_for(JobState="COMPLETED", Restarts="0")
    blamed = json.loads((job.run / "summary.json").read_text())["blamed"]
    assert sum(counts["lost"] for counts in blamed.values()) == 5  # 15 workers on 3 ranks
    assert job.steps == list(range(1, 61))


def test_a_job_that_may_not_be_queued_again_stores_a_checkpoint_and_says_so(submit: Callable[..., Job]) -> None:
    job = submit("unrepeatable", "--no-requeue")
    job.wait_for_steps(2)
    job.signal("USR1")
    job.wait_for(JobState="FAILED", ExitCode="143:0", Restarts="0")
    assert latest_checkpoint(job.run / "checkpoints") == job.run / "checkpoints" / f"step_{job.steps[-1]}.pt"
    assert job.log.splitlines()[-1].endswith("submit it again to go on from the newest checkpoint")


def test_a_canceled_job_is_not_queued_again(cluster: SlurmCluster, submit: Callable[..., Job]) -> None:
    job = submit("canceled")
    job.wait_for_steps(2)
    cluster.cancel_all()
    job.wait_for(JobState="CANCELLED", Restarts="0")
    assert "back into the queue" not in job.log


@pytest.mark.parametrize("launch", ["mpirun", "srun"])
def test_a_wrong_request_fails_and_is_not_queued_again(submit: Callable[..., Job], launch: str) -> None:
    job = submit("impossible", words=("--set", "data.batch_size=76"), BYZSHIELD_LAUNCH=launch)
    job.wait_for(JobState="FAILED", ExitCode="2:0", Restarts="0")
    assert job.log.count("byzshield: data.batch_size must be a multiple of the 25 files") == 1
    assert "Traceback" not in job.log


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"BYZSHIELD_LAUNCH": "srun", "BYZSHIELD_PMIX": "pmix_v9"}, "srun --mpi=pmix_v9 does not work here (see above)"),
        ({"BYZSHIELD_LAUNCH": "ssh"}, "BYZSHIELD_LAUNCH must be mpirun or srun; got ssh"),
    ],
)
def test_a_way_to_start_that_does_not_work_is_named(submit: Callable[..., Job], environment: dict[str, str], line: str) -> None:
    job = submit("unstartable", **environment)
    job.wait_for(JobState="FAILED", ExitCode="2:0", Restarts="0")
    assert job.log.splitlines()[-1].startswith(f"train.sbatch: {line}")


def test_the_documented_requests_for_gpus_are_ones_that_slurm_can_grant(cluster: SlurmCluster) -> None:
    lines = (REPOSITORY / "docs" / "clusters.md").read_text().splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("sbatch ") and "--gres" in line]
    assert commands
    for words in commands:
        cluster.call([words[0], "--test-only", "--mem-per-cpu=500", *words[1:]], cwd=REPOSITORY, env=cluster.environment)
    with pytest.raises(AssertionError, match="Invalid generic resource"):
        cluster.call(["sbatch", "--test-only", "--gres=gpus:1", SCRIPT, "run.toml"], cwd=REPOSITORY, env=cluster.environment)


def test_outside_slurm_the_script_explains_itself(tmp_path: Path) -> None:
    helped = subprocess.run(["bash", SCRIPT, "--help"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert helped.stdout.startswith("Usage: sbatch")
    refused = subprocess.run(["bash", SCRIPT, "run.toml"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == "train.sbatch: this is not a Slurm job; submit it: sbatch scripts/slurm/train.sbatch RUN.toml\n"
