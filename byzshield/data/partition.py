"""Cuts the training samples into shards, one for each file: alike, each with other classes, or in between."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from byzshield.choices import Split
from byzshield.errors import ConfigError

__all__ = ["dirichlet", "gamma_similar", "iid", "label_sorted", "partition"]

Indices = NDArray[np.int64]
DRAWS: Final = 100


def partition(
    split: Split,
    *,
    num_samples: int,
    num_shards: int,
    labels: Indices | None,
    rng: np.random.Generator,
    gamma: float,
    alpha: float,
) -> list[Indices]:
    """Cuts by the name of the split; every sample is in one shard, and no shard is empty.

    Args:
        split: "iid", "label_sorted", "gamma" or "dirichlet".
        num_samples: n.
        num_shards: f.
        labels: [n], the class of each sample; None if there are no classes, which only "iid" can do without.
        rng: what is drawn from.
        gamma: of "gamma", 0 to 1.
        alpha: of "dirichlet", > 0.

    Raises:
        ConfigError: there are fewer samples than shards, or no labels, or a shard of "dirichlet" stays empty.
    """
    if num_samples < num_shards:
        raise ConfigError(f"data.split: {num_samples} training samples cannot be cut into a shard for each of {num_shards} files")
    if split == "iid":
        return iid(num_samples, num_shards, rng)
    if labels is None:
        raise ConfigError(
            f'data.split: "{split}" needs the class of each sample, and this data set tells none; give it train_labels '
            '(targets, if it is one of torch), or use "iid"'
        )
    if split == "gamma":
        return gamma_similar(labels, num_shards, gamma, rng)
    if split == "dirichlet":
        return dirichlet(labels, num_shards, alpha, rng)
    return label_sorted(labels, num_shards)


def iid(num_samples: int, num_shards: int, rng: np.random.Generator) -> list[Indices]:
    """Random shards whose sizes differ by one at most."""
    return np.array_split(rng.permutation(num_samples), num_shards)


def label_sorted(labels: Indices, num_shards: int) -> list[Indices]:
    """Sorts by class, in the order of the data set within a class, and cuts into parts whose sizes differ by one at most.

    Reference: Karimireddy, He, Jaggi, "Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing", ICLR 2022.
    """
    return np.array_split(np.argsort(labels, kind="stable"), num_shards)


def gamma_similar(labels: Indices, num_shards: int, gamma: float, rng: np.random.Generator) -> list[Indices]:
    """A share gamma of the samples, drawn at random, as in `iid`, and the others as in `label_sorted`: 1 is the one, 0 the other.

    Every shard gets its part of both. ByzFL takes the first samples of the data set in place of random ones, which would be those
    of a few classes where it is stored by class.

    Reference: ByzFL's DataDistributor, "gamma_similarity_niid"; Karimireddy et al., "SCAFFOLD", ICML 2020.
    """
    order = rng.permutation(len(labels))
    cut = round(gamma * len(labels))
    alike, others = order[:cut], np.sort(order[cut:])
    by_class = others[np.argsort(labels[others], kind="stable")]
    pairs = zip(np.array_split(alike, num_shards), np.array_split(by_class, num_shards), strict=True)
    return [np.concatenate(pair) for pair in pairs]


def dirichlet(labels: Indices, num_shards: int, alpha: float, rng: np.random.Generator) -> list[Indices]:
    """Deals the samples of each class out to the shards in proportions drawn from a symmetric Dirichlet distribution.

    The smaller alpha, the fewer shards share a class, and the more the sizes of the shards differ. All proportions are drawn
    anew while a shard is empty, up to 100 times.

    Reference: Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", ICML 2019; the same in ByzFL,
    "dirichlet_niid".

    Raises:
        ConfigError: a shard is empty in every draw.
    """
    classes, counts = np.unique(labels, return_counts=True)
    for _ in range(DRAWS):
        shares = rng.dirichlet(np.full(num_shards, alpha), size=len(classes))
        ends = np.minimum(np.cumsum(shares, axis=1) * counts[:, None], counts[:, None]).astype(np.int64)
        ends[:, -1] = counts
        sizes = np.diff(ends, axis=1, prepend=0)  # of what each shard gets of each class
        if sizes.sum(axis=0).min():
            break
    else:
        raise ConfigError(
            f"data.alpha: with {alpha:g}, a shard of the {num_shards} was empty in each of {DRAWS} draws; "
            "use a greater one, or a placement with fewer files"
        )
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    shard_of = np.repeat(np.tile(np.arange(num_shards), len(classes)), sizes.ravel())
    by_shard = by_class[np.argsort(shard_of, kind="stable")]
    return np.split(by_shard, np.cumsum(sizes.sum(axis=0))[:-1])
