"""Attacks that remember: the same wherever their leader runs, when steps are done again, and when nothing can be stored."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from byzshield.arrays import Float32
from byzshield.attacks import Attack, Mimic, Situation
from byzshield.config import RunConfig
from byzshield.errors import ConfigError, RunStopped
from byzshield.runtime import Builder, simulate
from byzshield.runtime.jobs import run_here
from byzshield.runtime.memories import MemoryFolder
from byzshield.runtime.objects import Objects
from byzshield.runtime.run_directory import RunDirectory
from byzshield.runtime.simulation import Simulation

Maker = Callable[..., RunConfig]
LEARNING = {"name": "mimic", "num_byzantine": 4, "warmup": 20}


class Diary(Attack):
    """Notes the steps in which it has forged."""

    collusive = True
    read: ClassVar[list[tuple[int, list[int]]]] = []

    @property
    def remembers(self) -> bool:
        return True

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        noted = situation.memory.get("steps", np.empty(0, np.int64))
        self.read.append((situation.step, noted.tolist()))
        situation.memory["steps"] = np.append(noted, situation.step)
        return np.full_like(gradients[0], 0.01)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """(step, the steps that were noted) of each forgery."""
    entries: list[tuple[int, list[int]]] = []
    monkeypatch.setattr(Diary, "read", entries)
    return entries


@pytest.mark.parametrize("attack", [LEARNING, {**LEARNING, "name": "rop", "warmup": None}], ids=["mimic", "rop"])
def test_the_bits_do_not_depend_on_where_the_workers_run(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    attack: dict[str, Any],
) -> None:
    own = {key: value for key, value in attack.items() if value is not None}
    runs = [simulate(tiny_run(run={"name": f"on_{ranks}"}, attack=own), num_ranks=ranks)[0] for ranks in (2, 16)]
    assert same_weights(*(weights_of(run.path) for run in runs))
    other, _ = simulate(tiny_run(run={"name": "first"}, attack={"name": "mimic", "num_byzantine": 4, "warmup": 0}))
    assert not same_weights(weights_of(other.path), weights_of(runs[0].path))


def test_a_step_that_is_done_again_finds_what_it_found_the_first_time(
    tiny_run: Maker, tmp_path: Path, read: list[tuple[int, list[int]]]
) -> None:
    config = tiny_run(run={"checkpoint_every": 2}, cluster={"max_skipped": 1}, attack={"num_byzantine": 4})
    builder = Builder(config, num_ranks=4, objects=Objects(attack=Diary()))
    builder.set_threads()
    server = builder.server()
    builder.memories.stored = MemoryFolder(tmp_path / "notes", config)
    simulation = Simulation(server, {rank: builder.worker(rank) for rank in (1, 2, 3)})

    def steps(count: int) -> None:
        for _ in range(count):
            simulation.run_round()
            server.close_round(server.aggregate())

    steps(2)
    state = copy.deepcopy(server.state_dict())
    steps(7)
    server.go_back(state, builder.training_state(server.state.model))
    steps(2)
    assert read[:-2] == [(step, list(range(1, step))) for step in range(1, 10)]
    assert read[-2:] == [(3, [1, 2]), (4, [1, 2, 3])]
    # What the first attempt has noted of later steps is gone.
    assert {path.name for path in tmp_path.glob("notes/*/*")} == {f"step_{step}.npz" for step in (2, 3, 4)}


def test_a_run_that_goes_on_without_its_notes_says_so_and_begins_the_attack_anew(
    tiny_run: Maker, read: list[tuple[int, list[int]]], caplog: pytest.LogCaptureFixture
) -> None:
    objects = Objects(attack=Diary())
    attack = {"num_byzantine": 4}
    run_here(tiny_run(run={"steps": 3}, attack=attack), objects=objects)
    run_here(tiny_run(run={"steps": 5}, attack=attack), objects=objects, resume=True)
    assert read[-2:] == [(4, [1, 2, 3]), (5, [1, 2, 3, 4])]
    assert "begins anew" not in caplog.text
    longer = tiny_run(run={"steps": 7}, attack=attack)
    with pytest.raises(RunStopped):
        run_here(longer, objects=objects, resume=True, stop=lambda: len(read) > 5)
    directory = RunDirectory(Path(longer.run.output_dir) / "tiny")
    for note in directory.memories.glob("*/*"):
        note.write_bytes(note.read_bytes()[:100])
    run_here(longer, objects=objects, resume=True)
    assert read[-1] == (7, [])
    assert "cannot be read" in caplog.text
    assert "the attack begins anew" in caplog.text


def test_a_disk_that_takes_no_notes_costs_a_warning(
    tiny_run: Maker, read: list[tuple[int, list[int]]], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "tiny"

    class Occupied(Diary):
        def forge(self, gradients: Float32, situation: Situation) -> Float32:
            if situation.step == 1:
                (folder / "adversary").write_text("in the way of the folder")
            return super().forge(gradients, situation)

    run_here(tiny_run(attack={"num_byzantine": 4}), objects=Objects(attack=Occupied()))
    assert [noted for _, noted in read] == [[], [1], [1, 2], [1, 2, 3]]
    assert caplog.text.count("is not stored") == 1


def test_workers_that_were_honest_before_cannot_remember(tiny_run: Maker) -> None:
    attack = {"num_byzantine": 4, "selection": "random"}
    with pytest.raises(ConfigError, match=r"attack\.redraw_every: mimic remembers earlier steps.*; got 1: use 0"):
        simulate(tiny_run(attack={"name": "mimic", **attack}))
    simulate(tiny_run(run={"steps": 1}, attack={"name": "mimic", **attack, "warmup": 0}))
    simulate(tiny_run(run={"steps": 1}, attack={"name": "mimic", **attack, "redraw_every": 0}))


def test_an_attack_that_remembers_must_have_one_memory(tiny_run: Maker) -> None:
    class Alone(Mimic):
        collusive = False

    with pytest.raises(ConfigError, match="remembers, so it must be collusive"):
        run_here(tiny_run(attack={"num_byzantine": 4}), objects=Objects(attack=Alone()))
