"""What a process may take of its host: read, raised where that is allowed, and refused in one line where it is too little."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from byzshield import limits
from byzshield.config import RunConfig
from byzshield.errors import RequestError
from byzshield.limits import available_memory, raise_open_files, require_open_files
from byzshield.planning.memory import worker_bytes
from byzshield.runtime import Builder, memory, simulate
from byzshield.runtime.memory import bytes_needed, require_memory

Maker = Callable[..., RunConfig]


@pytest.fixture
def few_open_files() -> Iterator[int]:
    """A soft limit below the hard one, which is put back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class TestMemory:
    def group(self, folder: Path, **numbers: str) -> tuple[str, str, str, str]:
        for name, content in numbers.items():
            (folder / name).write_text(content)
        return str(folder / "limit"), str(folder / "used"), str(folder / "stat"), "inactive_file"

    def test_this_machine_has_some(self) -> None:
        free = available_memory()
        assert free is not None
        assert 0 < free < 1 << 50

    def test_the_limit_of_a_control_group_counts_and_files_that_can_be_dropped_do_not(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        files = self.group(tmp_path, limit="1000\n", used="900\n", stat="anon 500\ninactive_file 300\n")
        monkeypatch.setattr(limits, "CONTROL_GROUPS", [files])
        assert available_memory() == 400

    @pytest.mark.parametrize("limit", ["max\n", ""])
    def test_a_group_without_a_limit_does_not(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str) -> None:
        monkeypatch.setattr(limits, "CONTROL_GROUPS", [self.group(tmp_path, limit=limit, used="900\n")])
        free = available_memory()
        assert free is not None
        assert free > 1000

    def test_a_run_for_which_there_is_too_little_is_refused_before_its_first_step(
        self, tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        builder = Builder(tiny_run(), num_ranks=16)
        workers = worker_bytes(num_files=50, size=builder.computer.size, activation_bytes=builder.activation_bytes)
        needed = bytes_needed(builder, 0) + workers
        monkeypatch.setattr(memory, "available_memory", lambda: needed)
        require_memory(builder, 0)
        monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
        with pytest.raises(RequestError, match=r"a step takes 0\.21 GiB on this host .* take fewer ranks a host"):
            simulate(tiny_run(), num_ranks=16)
        assert not list((tmp_path / "runs").glob("*/metrics.jsonl"))

    def test_under_mpirun_the_ranks_of_this_host_count(self, tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
        builder = Builder(tiny_run(), num_ranks=16)
        monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "2")
        monkeypatch.setattr(memory, "available_memory", lambda: 2 * max(bytes_needed(builder, rank) for rank in range(1, 16)))
        require_memory(builder, 1)
        monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "3")
        with pytest.raises(RequestError, match=r"GiB for rank 1, .* the other 2 of its ranks"):
            require_memory(builder, 1)

    def test_what_accomplices_gather_counts(self, tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
        attack = {"name": "alie", "num_byzantine": 3, "selection": "first"}
        honest, attacked = Builder(tiny_run(), num_ranks=3), Builder(tiny_run(attack=attack), num_ranks=3)
        monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "3")
        needed = sum(bytes_needed(honest, rank) for rank in range(3))
        monkeypatch.setattr(memory, "available_memory", lambda: needed)
        require_memory(honest, 0)
        with pytest.raises(RequestError, match="for the attack"):
            require_memory(attacked, 0)


class TestOpenFiles:
    def test_the_limit_is_raised_to_what_is_allowed(self, few_open_files: int) -> None:
        assert raise_open_files() == few_open_files
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few_open_files

    def test_a_job_that_needs_more_is_refused(self, monkeypatch: pytest.MonkeyPatch, few_open_files: int) -> None:
        require_open_files(26)
        monkeypatch.setattr(limits, "raise_open_files", lambda: 200)
        require_open_files(25)
        with pytest.raises(RequestError, match=r"needs about 208 open files for 26 ranks, and may have 200: raise the limit"):
            require_open_files(26)
