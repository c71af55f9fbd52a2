"""`byzshield.simulate` and `byzshield.train` with one's own objects."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import own_objectives
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

import byzshield as bz
from byzshield import api
from byzshield.config import RunConfig, load
from byzshield.errors import CheckpointError, ConfigError, DataError, RequestError

MPIRUN = Path(sys.executable).parent / "mpirun"
DRAW = np.random.default_rng(0)
POINTS = torch.from_numpy(DRAW.standard_normal((360, 2), dtype=np.float32))
LABELS = (POINTS.sum(dim=1) > 0).long()
TRAIN, TEST = TensorDataset(POINTS[:300], LABELS[:300]), TensorDataset(POINTS[300:], LABELS[300:])


class Net(nn.Module):
    """2 -> 16 -> 2, normalized in between."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.layers(points)


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Any]:
    """What trains a small network of one's own within a second."""
    return {
        "model": Net,
        "train": TRAIN,
        "test": TEST,
        "loss": functional.cross_entropy,
        "placement": bz.mols(5, 3),
        "rule": bz.Median(),
        "attack": bz.ALIE(z=1.5),
        "num_byzantine": 3,
        "optimizer": {"name": "SGD", "lr": 0.2, "momentum": 0.9},
        "steps": 40,
        "batch_size": 150,
        "seed": 1,
        "output_dir": tmp_path / "runs",
    }


def test_objects_are_trained_and_the_trained_module_comes_back(parts: dict[str, Any], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    result = bz.simulate(**parts, metrics=["accuracy"], evaluation={"batch_size": 7})
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert isinstance(result.model, Net)
    assert not result.model.training
    with torch.no_grad():
        accuracy = (result.model(POINTS[300:]).argmax(dim=1) == LABELS[300:]).float().mean()
    assert result.summary["test_accuracy"] == pytest.approx(float(accuracy))
    assert accuracy > 0.85
    assert [line["step"] for line in result.history] == list(range(1, 41))
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.directory == tmp_path / "runs" / "run"
    assert repr(result) == f"TrainingResult(steps=40, directory={str(result.directory)!r})"
    config = load(result.directory / "config.toml")
    assert (config.model.name, config.loss.name) == (f"{__name__}:Net", "torch.nn.functional:cross_entropy")
    assert (config.attack.name, config.attack.options["z"], config.aggregation.rule) == ("alie", 1.5, "median")
    assert config.data.name == "<TensorDataset of 300 samples>"


def test_a_module_is_copied_and_begins_with_its_own_weights(parts: dict[str, Any]) -> None:
    own = Net()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    result = bz.simulate(**{**parts, "model": own, "optimizer": {"lr": 0.0}, "steps": 2, "attack": None})
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    trained = result.model.state_dict()
    assert torch.equal(trained["layers.0.weight"], before["layers.0.weight"])
    assert not torch.equal(trained["layers.1.running_mean"], before["layers.1.running_mean"])


def test_an_object_and_its_name_train_the_same_weights(parts: dict[str, Any]) -> None:
    byname = {
        "rule": "trimmed_mean",
        "attack": {"name": "alie", "z": 1.5},
        "placement": {"scheme": "mols", "load": 5, "replication": 3},
    }
    objects = bz.simulate(**{**parts, "rule": bz.TrimmedMean(3), "pre": [bz.NNM()], "steps": 4})
    names = bz.simulate(**{**parts, **byname, "pre": ["nnm"], "steps": 4})
    assert torch.equal(objects.model.layers[0].weight, names.model.layers[0].weight)
    recorded = load(objects.directory / "config.toml").aggregation
    assert (recorded.rule, recorded.num_corrupted, recorded.pre) == ("trimmed_mean", 3, ({"name": "nnm"},))


def test_a_pre_aggregator_need_not_be_importable(parts: dict[str, Any]) -> None:
    class Own(bz.NNM):
        pass

    own, named = (bz.simulate(**{**parts, "rule": bz.TrimmedMean(3), "pre": [pre], "steps": 3}) for pre in (Own(), "nnm"))
    assert torch.equal(own.model.layers[0].weight, named.model.layers[0].weight)
    assert load(own.directory / "config.toml").aggregation.pre == ({"name": "<Own>"},)


def test_a_rule_that_remembers_begins_each_run_anew(parts: dict[str, Any]) -> None:
    rule = bz.CenteredClipping(radius=0.5)
    first, second = (bz.simulate(**{**parts, "rule": rule, "steps": 3}) for _ in range(2))
    assert torch.equal(first.model.layers[0].weight, second.model.layers[0].weight)


def test_a_run_file_and_what_stands_in_its_place(tiny_run: Callable[..., RunConfig], tmp_path: Path) -> None:
    result = bz.simulate(tiny_run(), steps=2, cluster={"exchange": "full"})
    assert (result.summary["steps"], result.summary["exchange"]) == (2, "full")
    again = bz.simulate(result.directory / "config.toml", steps=3, resume=True, name="run")
    assert again.summary["steps"] == 3
    named = bz.simulate(
        {"model": {"name": "mlp"}, "run": {"output_dir": str(tmp_path), "steps": 1}}, num_byzantine=2, optimizer="Adam"
    )
    assert named.summary["num_byzantine"] == 2


def test_a_loss_of_model_and_batch_and_arrays(parts: dict[str, Any]) -> None:
    train, test = own_objectives.regression()
    own = {"model": own_objectives.line, "train": train, "test": test, "loss": None, "loss_of": own_objectives.of_model}
    result = bz.simulate(**{**parts, **own, "batch_size": 75, "steps": 100})
    assert result.summary["test_loss"] < 0.05
    assert result.summary["test_accuracy"] is None


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"modle": Net}, ConfigError, "modle: no such argument; did you mean 'model'?"),
        ({"test": None}, ConfigError, "test: what to test with is needed, too"),
        ({"train": 3}, DataError, "train must be a map-style data set, with __len__ and __getitem__; got int"),
        ({"loss_of": own_objectives.of_model}, ConfigError, "loss: give loss(output, target) or loss_of(model, batch), not both"),
        ({"loss": 3}, ConfigError, "loss: must be a function; got 3"),
        ({"rule": 3}, ConfigError, "aggregation: must be a table of its keys or a name; got 3"),
        ({"num_byzantine": 16}, ConfigError, "attack: num_byzantine must be between 0 and the 15 workers; got 16"),
        ({"batch_size": 151}, ConfigError, "data.batch_size must be a multiple of the 25 files"),
        (
            {"model": nn.Linear(3, 2)},
            ConfigError,
            "model.name: torch.nn.modules.linear:Linear: network, data and loss do not fit",
        ),
        ({"loss": own_objectives.for_each_sample}, ConfigError, "a loss must be a scalar"),
        ({"loss": own_objectives.broken}, ConfigError, "network, data and loss do not fit together: KeyError: 'nothing'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    parts: dict[str, Any], changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        bz.simulate(**{**parts, **changed})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_an_object_is_said_to_be_known_only_there(parts: dict[str, Any]) -> None:
    result = bz.simulate(**{**parts, "steps": 1})
    with pytest.raises(ConfigError, match=r"data set <TensorDataset of 300 samples> was an object of a Python program"):
        bz.simulate(result.directory / "config.toml")


class Halves(nn.Module):
    """Of which one is bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 4).bfloat16(), nn.Linear(4, 2)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(points.bfloat16()).float())


class Counting(nn.Linear):
    """Remembers how often it was called."""

    calls = 0

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(points) * self.calls


class Drawing(TensorDataset):
    """Draws its noise from a generator of its own, which nobody seeds for each sample."""

    rng = np.random.default_rng(1)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        points, label = super().__getitem__(index)
        return points + float(self.rng.normal()), label


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"model": Halves},
            r"parameters that are trained must be float32, .*; first.weight is bfloat16: make them so",
        ),
        ({"model": lambda: Net().requires_grad_(False)}, "a model needs parameters with requires_grad=True; Net has none"),
        ({"model": nn.Linear}, "Linear cannot be called without arguments: TypeError: .* missing 2 required positional"),
        ({"model": lambda: Counting(2, 2)}, r"samples \[\d+, \d+] have another loss when they are fetched and passed again"),
        ({"train": Drawing(*TRAIN.tensors)}, r"samples \[\d+, \d+] have another loss when they are fetched and passed again"),
        ({"train": TRAIN.tensors}, "train is a pair of arrays and test a data set; give two of a kind"),
        ({"test": TEST.tensors}, "test is a pair of arrays and train a data set; give two of a kind"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_the_start(parts: dict[str, Any], changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        bz.simulate(**{**parts, **changed, "steps": 1})


@pytest.mark.parametrize(("rank", "waits"), [(0, []), (1, [15.0])])
def test_of_all_ranks_that_find_a_mistake_only_the_servers_tells_it(
    rank: int, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(ConfigError), api._told_once(rank):
        raise ConfigError("run.steps: must be at least 1; got 0")
    assert slept == waits


@pytest.mark.mpi
@pytest.mark.timeout(120)
def test_the_same_program_trains_the_same_weights_in_one_process_and_under_mpirun(
    tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, torch, byzshield as bz\n"
        "from test_api import TEST, TRAIN, Net\n"
        "torch.manual_seed(int(os.environ.get('OMPI_COMM_WORLD_RANK', '0')))  # those of the server count\n"
        "result = bz.train(model=Net(), train=TRAIN, test=TEST, loss=torch.nn.CrossEntropyLoss(), rule=bz.Median(), steps=3,\n"
        "                  attack=bz.ALIE(z=1.5), num_byzantine=3, batch_size=150,\n"
        "                  schedule=lambda n: 1 / (1 + n))\n"
        "if result is not None:\n"
        "    print(result.model.layers[0].weight.flatten().tolist(), result.summary['test_accuracy'])\n"
        "    try:\n"
        "        bz.train(model=Net(), train=TRAIN, test=TEST, steps=1, loss=torch.nn.CrossEntropyLoss())\n"
        "    except bz.ByzShieldError as error:\n"
        "        print(error)\n"
    )
    paths = [str(Path(__file__).parent), mpi_environment["PYTHONPATH"]]
    python = [sys.executable, "-m", "mpi4py", str(program)]
    alone, together = (
        subprocess.run(
            [*command, *python],
            env={**mpi_environment, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            timeout=100,
            cwd=tmp_path,
        )
        for command in ([], [str(MPIRUN), "-n", "4"])
    )
    assert (alone.returncode, together.returncode) == (0, 0), alone.stderr + together.stderr
    weights, said = together.stdout.splitlines()
    assert alone.stdout.splitlines() == [weights]
    assert said.startswith("a program can train once over MPI")


def test_epochs_groups_and_another_rate_on_resuming_from_python(parts: dict[str, Any]) -> None:
    del parts["steps"]
    parts["optimizer"] |= {"groups": [{"match": ["*.1.*"], "lr": 0.1}], "clip_norm": 1.0}
    begun = bz.simulate(**parts, epochs=2)  # of 2 steps
    assert [line["epoch"] for line in begun.history] == [1, 1, 2, 2]
    parts["optimizer"] |= {"lr": 0.02}
    resumed = bz.simulate(**parts, epochs=3, resume=True)
    assert [line["lr"] for line in resumed.history] == [0.2] * 4 + [0.02] * 2
    with pytest.raises(CheckpointError, match=r"optimizer\.name is 'SGD' there and 'Adam' here"):
        bz.simulate(**{**parts, "optimizer": "Adam"}, epochs=3, resume=True)
