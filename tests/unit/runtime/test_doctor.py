"""What the doctor makes of what processes tell of themselves."""

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from byzshield.config import RunConfig
from byzshield.planning.memory import server_bytes, worker_bytes
from byzshield.runtime.builder import Builder
from byzshield.runtime.doctor import answer_examination, examine, examine_ranks, facts_of_rank
from byzshield.runtime.machine import machine_facts
from byzshield.runtime.memory import bytes_needed
from byzshield.transport import in_process
from byzshield.wire import messages

Maker = Callable[..., RunConfig]
MACHINE = machine_facts()


def problems(of_ranks: dict[int, dict[str, Any]], builder: Builder | None = None) -> dict[str, str]:
    """What is wrong, by topic."""
    return {finding.topic: finding.problem for finding in examine(of_ranks, builder) if finding.problem}


def test_this_machine_is_fit() -> None:
    assert problems({0: MACHINE}) == {}


def test_what_a_killed_mpirun_has_left_is_named_unless_it_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ompi.999999999", "prted.999999998", f"ompi.{os.getpid()}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pmix.host.tool").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("PRTE_MCA_pmix_tool_support", raising=False)
    (said,) = (finding.value for finding in examine({0: machine_facts()}, None) if finding.topic == "left by mpirun")
    assert said.startswith(f"{tmp_path}/ompi.999999999 and 1 like it; an mpirun with that process id will not start: ")
    monkeypatch.setenv("PRTE_MCA_pmix_tool_support", "0")
    assert "left by mpirun" not in {finding.topic for finding in examine({0: machine_facts()}, None)}


def test_a_run_that_is_possible_is_fit(tiny_run: Maker) -> None:
    builder = Builder(tiny_run(attack={"num_byzantine": 3}))
    told = facts_of_rank(builder, range(2))
    findings = {finding.topic: finding for finding in examine({0: told}, builder)}
    assert not any(finding.problem for finding in findings.values())
    assert "15 workers, 25 files" in findings["run"].value
    assert findings["rule"].value == "median: 3 Byzantine workers corrupt at most 3 files"
    size, between = builder.computer.size, builder.activation_bytes
    workers = worker_bytes(num_files=25, size=size, activation_bytes=between)
    assert told["needs"] == server_bytes(num_files=25, size=size) + workers
    everything = Builder(tiny_run(cluster={"exchange": "full"}), num_ranks=16)
    assert bytes_needed(everything, 3) == worker_bytes(num_files=5, size=size, payloads=5, activation_bytes=between)


def test_what_is_wrong_with_a_run_is_said(tiny_run: Maker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    builder = Builder(tiny_run(attack={"num_byzantine": 7}, run={"output_dir": str(tmp_path / "file" / "runs")}))
    told = {**facts_of_rank(builder, range(2)), "memory": 1000}
    found = problems({0: told}, builder)
    assert "with the 25 files of this placement it tolerates 12" in found["rule"]
    assert "fewer ranks a host" in found["memory"]
    assert "output_dir cannot be written" in found["results"]


@pytest.mark.parametrize("key", ["torch", "instruction set", "threads", "byzshield", "probe gradient"])
def test_a_rank_whose_gradients_would_differ_is_named(key: str) -> None:
    first = {**MACHINE, "probe gradient": "00"}
    found = problems({0: first, 1: first, 2: {**first, "host": "other", key: "another"}})
    assert set(found) == {"rank 2"}
    assert f"{key} 'another' instead of" in found["rank 2"]


def test_ranks_of_one_host_share_its_memory(tiny_run: Maker) -> None:
    told = {**facts_of_rank(Builder(tiny_run()), [1]), "memory": 10_000, "needs": 6_000}
    builder = Builder(tiny_run())
    assert "memory" not in problems({0: told, 1: {**told, "host": "other"}}, builder)
    assert "memory" in problems({0: told, 1: told}, builder)


def test_a_limit_of_open_files_that_the_server_would_meet_is_named() -> None:
    told = {rank: {**MACHINE, "open files": 20} for rank in range(3)}
    assert "ulimit -Hn 24" in problems(told)["open files"]
    assert "open files" not in problems({rank: {**MACHINE, "open files": -1} for rank in range(3)})


def test_what_a_rank_cannot_do_is_passed_on() -> None:
    assert problems({0: MACHINE, 1: {"host": "other", "error": "no data here"}}) == {"rank 1": "no data here"}


def test_ranks_answer_and_a_silent_or_nonsensical_one_is_named() -> None:
    ends = in_process(4)
    answering = threading.Thread(target=answer_examination, args=(ends[1], {**MACHINE, "host": "one"}), kwargs={"timeout": 30.0})
    answering.start()
    ends[2].send(messages.stop().to(0))
    told, findings = examine_ranks(ends[0], MACHINE, timeout=0.3)
    answering.join(30)
    assert not answering.is_alive()
    assert (sorted(told), told[1]["host"]) == ([0, 1], "one")
    assert [finding.topic for finding in findings] == ["rank 2", "rank 3", "bandwidth"]
    assert all("told nothing within 0.3 s" in finding.problem for finding in findings[:2])
