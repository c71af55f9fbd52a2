"""python -m pytest, in this folder or from elsewhere."""

from pathlib import Path

import own_data
import own_model
import torch

from byzshield.config import load
from byzshield.runtime import simulate

RUN_FILE = Path(__file__).with_name("run.toml")


def test_the_model_has_an_output_for_each_class() -> None:
    assert own_model.Net()(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


def test_the_data_are_the_same_for_every_process() -> None:
    assert (own_data.load().train_images == own_data.load().train_images).all()


def test_training_gets_somewhere_although_three_workers_collude(tmp_path: Path) -> None:
    config = load(RUN_FILE, [f"run.output_dir='{tmp_path}'"])
    _, summary = simulate(config)
    assert summary["test_accuracy"] > 0.9
