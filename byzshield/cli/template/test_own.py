"""python -m pytest, in this folder or from elsewhere."""

from pathlib import Path

import own_data
import own_loss
import own_model
import torch

import byzshield as bz

RUN_FILE = Path(__file__).with_name("run.toml")


def test_every_process_gets_the_same_data() -> None:
    (ours, _), (theirs, _) = own_data.load(), own_data.load()
    assert torch.equal(ours.images, theirs.images)


def test_model_data_and_loss_fit_together() -> None:
    train, _ = own_data.load()
    loss = own_loss.loss(own_model.Net()(train.images[:5]), train.targets[:5])
    assert loss.isfinite()


def test_training_gets_somewhere_although_three_workers_collude(tmp_path: Path) -> None:
    result = bz.simulate(RUN_FILE, output_dir=tmp_path, steps=40)
    assert result.summary["test_accuracy"] > 0.9
