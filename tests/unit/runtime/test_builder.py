"""From a run file to objects."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from byzshield.aggregation import NNM, Bucketing, MedianOfMeans
from byzshield.config import RunConfig, from_table
from byzshield.errors import ConfigError
from byzshield.runtime import Builder
from byzshield.runtime.components import construct

Maker = Callable[..., RunConfig]
WORST = {"name": "alie", "num_byzantine": 3, "selection": "worst"}


def test_a_worker_that_knows_the_witness_never_searches(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object, **__: object) -> None:
        pytest.fail("a worker searched for the worst case")

    monkeypatch.setattr("byzshield.runtime.building.places.worst_case", search)
    builder = Builder(tiny_run(attack=WORST), num_ranks=16, witness=(0, 5, 11))
    worker = builder.worker(1)
    assert worker.adversary is not None
    worker.adversary.begin(1)
    assert worker.adversary.members_here == (0,)


def test_auto_takes_the_worst_case_and_a_number_takes_itself(tiny_run: Maker) -> None:
    assert Builder(tiny_run(attack=WORST)).pipeline().rule.num_corrupted == 3
    assert Builder(tiny_run(attack={**WORST, "num_byzantine": 4})).pipeline().rule.num_corrupted == 5
    assert Builder(tiny_run()).pipeline().rule.num_corrupted == 0
    assert Builder(tiny_run(attack=WORST, aggregation={"num_corrupted": 7})).pipeline().rule.num_corrupted == 7


@pytest.mark.parametrize(("told", "warned"), [(2, True), (3, False), ("auto", False)])
def test_a_rule_that_is_told_of_too_few_corrupted_files_is_warned_of(
    told: int | str, warned: bool, tiny_run: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    Builder(tiny_run(attack=WORST, aggregation={"num_corrupted": told})).server()
    assert ("num_corrupted is 2, and the Byzantine workers corrupt 3 of 25 files" in caplog.text) == warned


def test_a_run_ends_with_its_last_step_or_epoch_whichever_comes_first(tiny_run: Maker) -> None:
    def steps(**run: object) -> int:
        config = tiny_run(data={"num_train": 320})  # 4 steps of 75 samples, and 20 samples more
        return Builder(replace(config, run=replace(config.run, **run))).steps

    assert [steps(steps=None, epochs=3), steps(steps=7, epochs=3), steps(steps=100, epochs=3), steps(steps=7)] == [12, 7, 12, 7]
    assert steps(steps=7, epochs=2**31 - 1) == 7
    with pytest.raises(ConfigError, match=r"run\.epochs: 2147483647 epochs are 8589934588 steps; a run has at most 2147483647"):
        steps(steps=None, epochs=2**31 - 1)


def test_auto_takes_what_detection_leaves(tiny_run: Maker) -> None:
    def most(*, vote: dict = {}, placement: dict = {}, **attack: object) -> int:  # noqa: B006 - never changed
        sections = {
            "cluster": {"num_workers": 9},
            "data": {"batch_size": 84},
            "placement": {"scheme": "aspis", **placement},
            "vote": {"name": "aspis", **vote},
            "attack": {"name": "alie", "num_byzantine": 3, **attack},
        }
        return Builder(tiny_run(**sections)).most_corrupted

    assert most(vote={"name": "exact"}) == 19  # C(3, 3) + 3 * 6
    assert most() == 10  # C(6, 3) / 2
    assert most(vote={"num_byzantine": 4}) == 13  # C(3, 3) + 3 * 4
    assert most(vote={"num_byzantine": 2}) == 84  # honest workers may be discarded
    assert most(vote={"window": 10}, selection="random", redraw_every=10) == 10
    assert most(vote={"window": 10}, selection="random") == 84
    assert most(placement={"scheme": "steiner"}) == 3


@pytest.mark.parametrize(("num_byzantine", "bound", "named"), [(4, "auto", 4), (1, 4, 4)])
def test_half_of_the_workers_cannot_be_proven_byzantine(
    tiny_run: Maker, num_byzantine: int, bound: int | str, named: int
) -> None:
    sections = {
        "cluster": {"num_workers": 8},
        "placement": {"scheme": "aspis"},
        "vote": {"name": "aspis", "num_byzantine": bound},
        "attack": {"num_byzantine": num_byzantine},
    }
    with pytest.raises(ConfigError, match=rf"^vote.num_byzantine: must be less than half of the 8 workers.*; got {named}$"):
        _ = Builder(tiny_run(**sections)).detection


def test_a_rule_that_does_not_bear_what_detection_leaves_names_the_override(tiny_run: Maker) -> None:
    sections = {
        "cluster": {"num_workers": 9},
        "data": {"batch_size": 84},
        "placement": {"scheme": "aspis"},
        "vote": {"name": "aspis"},
        "attack": {"num_byzantine": 4},
        "aggregation": {"rule": "bulyan"},
    }
    with pytest.raises(ConfigError, match=r"it tolerates 20: change attack.num_byzantine, the rule or the placement, or, to see"):
        Builder(tiny_run(**sections)).pipeline()


def test_a_random_set_holds_for_the_steps_that_the_run_file_says(tiny_run: Maker) -> None:
    def drawn(**keys: int) -> int:
        attack = {"name": "constant", "num_byzantine": 3, "selection": "random", **keys}
        selection = Builder(tiny_run(attack=attack)).selection
        return len({selection.byzantine_at(step) for step in range(1, 9)})

    assert (drawn(), drawn(redraw_every=4), drawn(redraw_every=0)) == (8, 2, 1)


def test_pre_aggregators_are_names_or_tables_and_seeds_are_the_runs(tiny_run: Maker) -> None:
    pre = ["nnm", {"name": "bucketing", "bucket_size": 2}]
    pipeline = Builder(tiny_run(attack=WORST, aggregation={"rule": "median_of_means", "pre": pre}, run={"seed": 9})).pipeline()
    nearest, bucketing = pipeline.pre
    assert isinstance(nearest, NNM)
    assert isinstance(bucketing, Bucketing)
    assert isinstance(pipeline.rule, MedianOfMeans)
    assert (bucketing.buckets.size, bucketing.seed, pipeline.rule.seed) == (2, 9, 9)


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
def test_a_chain_that_does_not_tolerate_the_worst_case_is_refused_with_what_would_fit(
    tiny_run: Maker, sections: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match="aggregation") as caught:
        Builder(tiny_run(**sections)).pipeline()
    assert message in str(caught.value)


def test_a_custom_placement_is_read_from_its_file(tiny_run: Maker) -> None:
    path = Path(__file__).parents[2] / "contract" / "fano_placement.json"
    config = tiny_run(placement={"scheme": "custom", "path": str(path)}, cluster={"num_workers": 7})
    assert Builder(config).assignment.num_files == 7


PARTS: dict[str, Callable[[Builder], object]] = {
    "attack": lambda builder: builder.attack,
    "aggregation": Builder.pipeline,
    "data": lambda builder: builder.data,
    "model": Builder.model,
    "placement": lambda builder: builder.assignment,
    "cluster": Builder.set_threads,
}


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("attack", {"epsilon": 0.1}, "attack.epsilon: ALIE has no such keyword, but fall_of_empires has"),
        (
            "attack",
            {"optionz": 1},
            "attack.optionz: ALIE has no such keyword; known: files, forge_statistics, knowledge, name, ",
        ),
        ("attack", {"z": "big"}, "attack.z: must be a number or 'optimized' or 'optimized_byzfl'; got 'big'"),
        ("attack", {"z": 0}, "attack: z must be positive"),
        ("attack", {"sign": True}, "attack.sign: must be a whole number; got True"),
        (
            "attack",
            {"name": "byzshield.attacks:Attack"},
            "attack: Attack cannot be made of these values: TypeError: ",
        ),
        ("data", {"download": True}, "data.download: synthetic has no such keyword; known: "),
        ("data", {"rot": "/x"}, "data.rot: synthetic has no such keyword; did you mean 'root'?"),
        ("data", {"num_train": 2.5}, "data.num_train: must be a whole number; got 2.5"),
        ("model", {"image_shape": [1, 8, 8]}, "model.image_shape: MLP has no such keyword; known: dropout, hidden, name"),
        ("model", {"hidden": 5}, "model.hidden: must be a list, each entry a whole number; got 5"),
        ("model", {"hidden": [1 << 20, 1 << 20]}, "model: hidden makes 1.1e+12 parameters"),
        ("model", {"name": "torch.nn:Linear"}, "model.hidden: Linear has no such keyword, but mlp has"),
        (
            "placement",
            {"scheme": "cyclic", "replication": 2},
            "placement.replication: must be odd, or a vote can tie, unless audit.arbitrate = true settles it; got r = 2",
        ),
        ("placement", {"scheme": "platform:node"}, "placement: scheme 'platform:node' must return an Assignment; got str"),
        ("placement", {"scheme": "math:sqrt"}, "placement: scheme 'math:sqrt' cannot be built: missing a required argument"),
        ("aggregation", {"num_selected": 3}, "aggregation.num_selected: Median has no such keyword, but multi_krum has"),
        (
            "aggregation",
            {"iterations": 3},
            "aggregation.iterations: Median has no such keyword, but centered_clipping and dnc have",
        ),
        ("aggregation", {"pre": ["nmn"]}, "aggregation.pre[0].name: unknown pre-aggregator 'nmn'; did you mean 'nnm'?"),
        (
            "aggregation",
            {"pre": ["nnm", {"name": "bucketing", "bucket_sise": 2}]},
            "aggregation.pre[1].bucket_sise: Bucketing has no such keyword; did you mean 'bucket_size'?",
        ),
        (
            "aggregation",
            {"pre": [{"name": "bucketing", "num_corrupted": 2}]},
            "aggregation.pre[0].num_corrupted: Bucketing has no such keyword; known: bucket_size, name, num_buckets, seed",
        ),
        ("aggregation", {"device": "cuda"}, "aggregation.device: this machine has no 'cuda'; use \"cpu\", or"),
        ("cluster", {"device": "cuda:99"}, "cluster.device: this machine has no 'cuda:99'; use \"cpu\", or"),
    ],
)
def test_a_mistake_is_named_by_its_key_and_only_what_can_be_set_is_suggested(
    tiny_run: Maker, section: str, values: dict, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        PARTS[section](Builder(tiny_run(**{section: values})))
    assert str(caught.value).startswith(message)
    assert "'options'" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("platform:node", "makes must be a Dataset, ArrayDataset or MapDataset"),
        ("builtins:dict", "does not tell its keywords"),
        ("math:pi", "must be a function"),
    ],
)
def test_what_makes_no_data_set_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.name: .*{name}.* {message}"):
        Builder(from_table({"data": {"name": name}})).data  # noqa: B018


@pytest.mark.parametrize(("root", "place"), [({}, "in its own folder"), ({"root": "/named"}, "in /named")])
def test_a_folder_that_an_own_function_names_is_taken_unless_the_run_file_names_one(root: dict[str, str], place: str) -> None:
    assert Builder(from_table({"data": {"name": "own_data:elsewhere", **root}})).data.location == place


@pytest.mark.parametrize(
    ("raised", "said"), [(RuntimeError("no\n  room"), "no room"), (ZeroDivisionError(), "ZeroDivisionError")]
)
def test_what_a_constructor_raises_is_told_in_one_line(raised: Exception, said: str) -> None:
    def factory() -> None:
        raise raised

    with pytest.raises(ConfigError) as caught:
        construct(factory, "model", {}, given={})
    assert str(caught.value) == f"model: factory cannot be made of these values: {said}"


class TestWhatIsBuiltOnce:
    def test_a_worker_that_is_told_the_witness_keeps_its_model_and_its_data(self, tiny_run: Maker) -> None:
        before = Builder(tiny_run(attack={"num_byzantine": 2}), num_ranks=3)
        computer, data = before.computer, before.data
        after = before.with_witness((4, 9))
        assert (after.computer, after.data, after.assignment) == (computer, data, before.assignment)
        assert after.selection.byzantine_at(1) == (4, 9)

    def test_a_model_that_computes_no_more_is_let_go(self, tiny_run: Maker) -> None:
        builder = Builder(tiny_run())
        gone = weakref.ref(builder.computer.module)
        builder.forget_computer()
        assert gone() is None
        assert builder.computer.module is not None

    def test_what_lies_between_the_layers_grows_with_the_samples_of_a_file(self, tiny_run: Maker) -> None:
        few, many = (Builder(tiny_run(data={"batch_size": 25 * samples})) for samples in (1, 10))
        assert many.activation_bytes == 10 * few.activation_bytes
        assert few.activation_bytes >= 4 * (64 + 8 + 8 + 10)  # into and out of two linear layers
        assert few.computer.module.training
