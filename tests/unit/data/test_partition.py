"""Shards of the training samples: which samples they get, and what each step takes of them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from byzshield.choices import Split as SplitName
from byzshield.data import ShardSampler, partition
from byzshield.data.partition import dirichlet, gamma_similar, iid, label_sorted
from byzshield.errors import ConfigError

Indices = NDArray[np.int64]
NUM_SAMPLES = 1003  # no multiple of the shards, nor of the classes
LABELS = np.random.default_rng(0).integers(0, 7, NUM_SAMPLES)
Split = Callable[[Indices, int, int], list[Indices]]


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


SPLITS: dict[str, Split] = {
    "iid": lambda labels, shards, seed: iid(len(labels), shards, draw(seed)),
    "label_sorted": lambda labels, shards, seed: label_sorted(labels, shards),
    "gamma": lambda labels, shards, seed: gamma_similar(labels, shards, 0.4, draw(seed)),
    "dirichlet": lambda labels, shards, seed: dirichlet(labels, shards, 0.5, draw(seed)),
}


def counts(labels: Indices, shards: list[Indices]) -> NDArray[np.int64]:
    """Samples of each class in each shard, [f, classes]."""
    return np.array([np.bincount(labels[shard], minlength=labels.max() + 1) for shard in shards])


@pytest.mark.parametrize("num_shards", [1, 2, 25])
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_every_sample_is_in_one_shard_and_the_same_draw_gives_the_same_shards(split: Split, num_shards: int) -> None:
    shards = split(LABELS, num_shards, 1)
    assert len(shards) == num_shards
    assert all(len(shard) for shard in shards)
    assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(NUM_SAMPLES))
    assert all(map(np.array_equal, shards, split(LABELS, num_shards, 1)))


@pytest.mark.parametrize("name", ["iid", "gamma", "dirichlet"])
def test_another_seed_gives_other_shards(name: str) -> None:
    assert not all(map(np.array_equal, SPLITS[name](LABELS, 25, 1), SPLITS[name](LABELS, 25, 2)))


@pytest.mark.parametrize("name", ["iid", "label_sorted", "gamma"])
def test_all_splits_but_dirichlet_give_equal_shards(name: str) -> None:
    sizes = [len(shard) for shard in SPLITS[name](LABELS, 25, 1)]
    assert max(sizes) - min(sizes) <= (2 if name == "gamma" else 1)


def test_sorted_by_label_each_shard_ends_where_the_next_begins() -> None:
    joined = LABELS[np.concatenate(label_sorted(LABELS, 25))]
    assert (np.diff(joined) >= 0).all()
    assert [len(np.unique(LABELS[shard])) for shard in label_sorted(LABELS, 7)] == pytest.approx([2] * 7, abs=1)
    tens = np.arange(100) % 10
    assert [shard.tolist() for shard in label_sorted(tens, 10)] == [[*range(k, 100, 10)] for k in range(10)]


def test_gamma_lies_between_sorted_by_label_and_iid() -> None:
    assert all(map(np.array_equal, gamma_similar(LABELS, 25, 0.0, draw()), label_sorted(LABELS, 25)))
    assert all(map(np.array_equal, gamma_similar(LABELS, 25, 1.0, draw()), iid(NUM_SAMPLES, 25, draw())))


def test_a_share_gamma_of_each_shard_is_as_mixed_as_the_data_set() -> None:
    labels = np.arange(20_000) % 10
    found = counts(labels, gamma_similar(labels, 10, 0.5, draw()))
    assert (found.sum(axis=1) == 2000).all()
    own = found[np.arange(10), np.arange(10)]  # of the rest, each shard gets one class, but for a few at the ends
    assert own == pytest.approx(np.full(10, 1100), abs=100)
    assert (found[~np.eye(10, dtype=bool)]).mean() == pytest.approx(100, abs=12)


def test_dirichlet_deals_classes_out_in_shares_with_the_moments_of_the_distribution() -> None:
    classes, shards, alpha = 400, 10, 2.0
    labels = np.repeat(np.arange(classes), 500)
    shares = counts(labels, dirichlet(labels, shards, alpha, draw())) / 500
    # Dirichlet(alpha, ..., alpha): mean 1 / f, variance (f - 1) / (f^2 (f alpha + 1)).
    assert shares.mean(axis=1) == pytest.approx(np.full(shards, 1 / shards), rel=0.15)
    assert shares.var() == pytest.approx((shards - 1) / (shards**2 * (shards * alpha + 1)), rel=0.1)


def test_dirichlet_goes_from_one_shard_a_class_to_iid() -> None:
    labels = np.arange(60_000) % 200
    few, even = (counts(labels, dirichlet(labels, 10, alpha, draw())) for alpha in (0.01, 1e6))
    assert np.median(few.max(axis=0)) > 0.95 * 300
    assert even == pytest.approx(np.full((10, 200), 30), abs=3)


def test_dirichlet_draws_anew_until_no_shard_is_empty_and_says_so_if_that_does_not_help() -> None:
    labels = np.zeros(60, dtype=np.int64)
    shards = [dirichlet(labels, 10, 0.5, draw(seed)) for seed in range(20)]
    assert min(len(shard) for each in shards for shard in each) >= 1
    with pytest.raises(
        ConfigError, match=r"^data\.alpha: with 0\.01, a shard of the 25 was empty in each of 100 draws; use a gr"
    ):
        dirichlet(LABELS, 25, 0.01, draw())


def test_what_cannot_be_cut_is_refused() -> None:
    def cut(split: SplitName, num_samples: int, labels: Indices | None) -> list[Indices]:
        return partition(split, num_samples=num_samples, num_shards=5, labels=labels, rng=draw(), gamma=0.5, alpha=1.0)

    for split in ("label_sorted", "gamma", "dirichlet"):
        with pytest.raises(ConfigError, match=rf'^data\.split: "{split}" needs the class of each sample, .*, or use "iid"$'):
            cut(split, 100, None)
    assert len(cut("iid", 100, None)) == 5
    with pytest.raises(ConfigError, match=r"^data\.split: 4 training samples cannot be cut .* each of 5 files$"):
        cut("label_sorted", 4, LABELS[:4])


def test_a_million_samples_are_cut_into_a_thousand_shards() -> None:
    labels = draw().integers(0, 1000, 10**6)
    for split in SPLITS.values():
        assert len(split(labels, 1024, 1)) == 1024


class TestSamplingFromShards:
    SHARDS = (np.arange(10), np.arange(10, 17), np.arange(17, 18))

    def sampler(self, *, seed: int = 1) -> ShardSampler:
        return ShardSampler(self.SHARDS, batch_size=9, seed=seed)

    def taken(self, file: int, steps: int) -> list[int]:
        sampler = self.sampler()
        return np.concatenate([sampler.rows(step, file) for step in range(1, steps + 1)]).tolist()

    def test_a_file_takes_its_share_of_its_own_shard(self) -> None:
        for step in range(1, 20):
            batch = self.sampler().indices(step)
            assert batch.shape == (3, 3)
            assert all(set(rows.tolist()) <= set(shard.tolist()) for rows, shard in zip(batch, self.SHARDS, strict=True))

    @pytest.mark.parametrize(("file", "size"), [(0, 10), (1, 7), (2, 1)])
    def test_each_pass_takes_every_sample_once_in_an_order_of_its_own(self, file: int, size: int) -> None:
        taken = self.taken(file, 70)
        passes = [taken[first : first + size] for first in range(0, 210, size)]
        assert all(sorted(each) == self.SHARDS[file].tolist() for each in passes)
        assert size == 1 or len({tuple(each) for each in passes}) > len(passes) / 2

    def test_samples_depend_on_seed_step_and_file_alone(self) -> None:
        forwards, backwards = self.sampler(), self.sampler()
        wanted = {step: forwards.indices(step).tolist() for step in range(1, 15)}
        assert wanted == {step: backwards.indices(step).tolist() for step in reversed(range(1, 15))}
        assert self.sampler(seed=2).indices(1).tolist() != wanted[1]

    @pytest.mark.parametrize(("batch_size", "words"), [(10, "use 9"), (21, "must not exceed the 18")])
    def test_batches_that_cannot_be_cut_are_refused(self, batch_size: int, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            ShardSampler(self.SHARDS, batch_size=batch_size, seed=1)
