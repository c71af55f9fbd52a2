"""From a run file to objects."""

from collections.abc import Callable
from pathlib import Path

import pytest

from byzshield.aggregation import NNM, Bucketing, MedianOfMeans
from byzshield.config import RunConfig
from byzshield.errors import ConfigError
from byzshield.runtime import Builder

Maker = Callable[..., RunConfig]
WORST = {"name": "alie", "num_byzantine": 3, "selection": "worst"}


def test_a_worker_that_knows_the_witness_never_searches(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object, **__: object) -> None:
        pytest.fail("a worker searched for the worst case")

    monkeypatch.setattr("byzshield.runtime.builder.worst_case", search)
    builder = Builder(tiny_run(attack=WORST), num_ranks=16, witness=(0, 5, 11))
    worker = builder.worker(1, builder.computer)
    assert worker.adversary is not None
    worker.adversary.begin(1)
    assert worker.adversary.members_here == (0,)


def test_auto_takes_the_worst_case_and_a_number_takes_itself(tiny_run: Maker) -> None:
    assert Builder(tiny_run(attack=WORST)).pipeline().rule.num_corrupted == 3
    assert Builder(tiny_run(attack={**WORST, "num_byzantine": 4})).pipeline().rule.num_corrupted == 5
    assert Builder(tiny_run()).pipeline().rule.num_corrupted == 0
    assert Builder(tiny_run(attack=WORST, aggregation={"num_corrupted": 7})).pipeline().rule.num_corrupted == 7


def test_pre_aggregators_are_names_or_tables_and_seeds_are_the_runs(tiny_run: Maker) -> None:
    pre = ["nnm", {"name": "bucketing", "bucket_size": 2}]
    pipeline = Builder(tiny_run(attack=WORST, aggregation={"rule": "median_of_means", "pre": pre}, run={"seed": 9})).pipeline()
    nearest, bucketing = pipeline.pre
    assert isinstance(nearest, NNM)
    assert isinstance(bucketing, Bucketing)
    assert isinstance(pipeline.rule, MedianOfMeans)
    assert (bucketing.bucket_size, bucketing.seed, pipeline.rule.seed) == (2, 9, 9)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"attack": {**WORST, "num_byzantine": 7}}, "it tolerates 12, so at most 6 Byzantine workers"),
        (
            {"attack": {**WORST, "num_byzantine": 5}, "aggregation": {"rule": "bulyan"}},
            "it tolerates 5, so at most 4 Byzantine workers",
        ),
        ({"attack": WORST, "aggregation": {"pre": [{"bucket_size": 2}]}}, "pre[0].name: is required"),
        ({"attack": WORST, "aggregation": {"pre": ["nmn"]}}, "did you mean 'nnm'"),
        ({"attack": WORST, "aggregation": {"rule": "monna", "pre": ["bucketing"]}}, "must know which row is which"),
    ],
)
def test_a_chain_that_cannot_bear_the_worst_case_is_refused_with_what_would_fit(
    tiny_run: Maker, sections: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match="aggregation") as caught:
        Builder(tiny_run(**sections)).pipeline()
    assert message in str(caught.value)


def test_a_custom_placement_is_read_from_its_file(tiny_run: Maker) -> None:
    path = Path(__file__).parents[2] / "contract" / "fano_placement.json"
    config = tiny_run(placement={"scheme": "custom", "path": str(path)}, cluster={"num_workers": 7})
    assert Builder(config).assignment.num_files == 7
