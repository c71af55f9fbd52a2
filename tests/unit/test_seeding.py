"""Random streams."""

import numpy as np

from byzshield.seeding import generator, torch_seed


def test_the_same_arguments_give_the_same_stream() -> None:
    assert generator(1, "a", 2, 3).integers(10**9, size=20).tolist() == generator(1, "a", 2, 3).integers(10**9, size=20).tolist()


def test_every_argument_changes_the_stream() -> None:
    streams = [generator(*arguments).integers(10**9) for arguments in [(1, "a"), (2, "a"), (1, "b"), (1, "a", 0), (1, "a", 0, 0)]]
    assert len(set(streams)) == len(streams)
    seeds = {torch_seed(seed, "a", step) for seed in range(5) for step in range(5)}
    assert len(seeds) == 25
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    generator(1, "a").random(100)
    assert np.random.get_state()[1].tolist() == before
