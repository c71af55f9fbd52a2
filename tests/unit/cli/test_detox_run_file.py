"""What the flags of the published code amount to."""

import argparse
import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest

from byzshield.cli.detox_flags import FLAGS, add_flags
from byzshield.cli.detox_run_file import APPROACHES, DATASETS, NETWORKS, RULES, RunFile, run_file
from byzshield.config import RunConfig, from_table
from byzshield.errors import ConfigError, RequestError

ATTACK = {"num_byzantine": 3, "selection": "worst"}
REVERSED = {"name": "reversed_gradient", "scale": 100.0}


def amounts_to(words: str, num_workers: int | None = 15) -> RunFile:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    base = "--approach mols --mode coord-median --group-size 3 --worker-fail 3 --byzantine-gen hard_coded --batch-size 250"
    return run_file(parser.parse_args(shlex.split(f"{base} {words}")), num_workers=num_workers)


@pytest.mark.parametrize(
    ("words", "section", "expected"),
    [
        ("", "cluster", {"num_workers": 15, "compression": "on"}),
        ("--compress-grad none", "cluster", {"num_workers": 15, "compression": "off"}),
        ("--compress-grad=None", "cluster", {"num_workers": 15, "compression": "off"}),
        # the placement
        ("", "placement", {"scheme": "mols", "replication": 3}),
        ("--approach rama_one", "placement", {"scheme": "ramanujan1", "replication": 3}),
        ("--approach draco-lite", "placement", {"scheme": "frc", "replication": 3}),
        ("--approach draco_lite_attack", "placement", {"scheme": "frc", "replication": 3}),
        ("--approach maj_vote --mode maj_vote", "placement", {"scheme": "frc", "replication": 3}),
        ("--approach baseline", "placement", {"scheme": "baseline"}),
        ("--approach cyclic --mode maj_vote --worker-fail 2", "placement", {"scheme": "cyclic", "replication": 5}),
        ("--approach cyclic --mode normal", "cluster", {"num_workers": 15, "compression": "on", "exchange": "coded"}),
        # b, in the unit of each approach
        ("", "data", {"name": "mnist", "batch_size": 250, "augment": False}),
        ("--batch-size 128", "data", {"name": "mnist", "batch_size": 125, "augment": False}),
        ("--approach draco_lite --batch-size 50", "data", {"name": "mnist", "batch_size": 250, "augment": False}),
        ("--approach cyclic --mode normal --batch-size 4", "data", {"name": "mnist", "batch_size": 60, "augment": False}),
        ("--approach baseline --batch-size 50", "data", {"name": "mnist", "batch_size": 750, "augment": False}),
        ("--dataset Cifar10 --network ResNet18", "data", {"name": "cifar10", "batch_size": 250, "augment": True}),
        ("--dataset SVHN --network VGG13", "data", {"name": "svhn", "batch_size": 250, "augment": True}),
        # the rule
        ("", "aggregation", {"rule": "median"}),
        ("--bucket-size 1", "aggregation", {"rule": "mean"}),
        ("--bucket-size 25", "aggregation", {"rule": "median_of_means", "num_buckets": 25}),
        ("--approach baseline --bucket-size 5", "aggregation", {"rule": "median"}),
        ("--mode bulyan --bucket-size 2", "aggregation", {"rule": "bulyan_byzshield"}),
        ("--mode multi-krum", "aggregation", {"rule": "multi_krum"}),
        (
            "--mode multi-krum --bucket-size 2 --approach draco_lite",
            "aggregation",
            {"rule": "bucketed", "inner": "multi_krum", "outer": "mean", "num_buckets": 2},
        ),
        ("--mode sign-sgd", "aggregation", {"rule": "sign_majority"}),
        (
            "--mode sign-sgd --bucket-size 3",
            "aggregation",
            {"rule": "bucketed", "inner": "sign_majority", "outer": "sign_majority", "num_buckets": 3},
        ),
        ("--approach baseline --mode geometric_median", "aggregation", {"rule": "geometric_median"}),
        ("--approach baseline --mode krum", "aggregation", {"rule": "krum"}),
        ("--approach baseline --mode normal", "aggregation", {"rule": "mean"}),
        ("--approach maj_vote --mode normal", "aggregation", {"rule": "mean"}),
        ("--approach cyclic --mode maj_vote", "aggregation", {"rule": "mean"}),
        ("--approach baseline --mode krum --err-mode random", "aggregation", {"rule": "krum", "num_corrupted": 3}),
        ("--mode bulyan --err-mode random", "aggregation", {"rule": "bulyan_byzshield", "num_corrupted": 3}),
        # the attack
        ("", "attack", {**REVERSED, **ATTACK}),
        ("--adversarial=-50", "attack", {"name": "reversed_gradient", "scale": 50.0, **ATTACK}),
        ("--err-mode constant", "attack", {"name": "constant", "value": -100, **ATTACK}),
        ("--err-mode foe", "attack", {"name": "fall_of_empires", "epsilon": 100.0, "weighting": "honest_copies", **ATTACK}),
        ("--lis-simulation simulate --err-mode foe", "attack", {"name": "alie", "z": 1.0, "sign": 1, **ATTACK}),
        ("--lis-simulation nope", "attack", {**REVERSED, **ATTACK}),
        ("--byzantine-gen random", "attack", {**REVERSED, "num_byzantine": 3, "selection": "random"}),
        (
            "--approach draco_lite_attack --detox-attack whole_group",
            "attack",
            {**REVERSED, "num_byzantine": 3, "selection": "detox_whole_group"},
        ),
        ("--approach draco_lite --detox-attack benign", "attack", {**REVERSED, **ATTACK}),
        ("--worker-fail 0", "attack", None),
        ("--err-mode random", "attack", None),
        # training
        ("--lr 0.05 --momentum 0.9", "optimizer", {"name": "SGD", "lr": 0.05, "momentum": 0.9}),
        ("--gamma 0.96 --lr-step 15", "schedule", {"name": "exponential_steps", "gamma": 0.96, "step_size": 15}),
        ("--lr-step 15", "schedule", None),
        ("--log-interval 10", "metrics", {"log_every": 10}),
        (
            "--train-dir /tune/output_q_3/ --eval-freq 40 --max-steps 1040 --seed 7",
            "run",
            {
                "name": "output_q_3",
                "output_dir": "/tune",
                "seed": 7,
                "steps": 1040,
                "eval_every": 40,
                "checkpoint_every": 40,
            },
        ),
        (
            "--checkpoint-step 50",
            "run",
            {
                "name": "models",
                "output_dir": "output",
                "seed": 1,
                "steps": 10000,
                "eval_every": 50,
                "checkpoint_every": 50,
                "start_from": "output/models/model_step_50",
                "start_step": 50,
            },
        ),
    ],
)
def test_each_flag_sets_its_keys(words: str, section: str, expected: dict[str, Any] | None) -> None:
    assert amounts_to(words).tables.get(section) == expected


@pytest.mark.parametrize(
    ("words", "num_workers"),
    [
        ("", 15),
        ("--approach rama_one", 15),
        ("--group-size 5", 35),
        ("--approach rama_two --group-size 5 --rama-m 5", 25),
    ],
)
def test_the_published_number_of_workers_is_taken_where_the_other_sizes_determine_it(words: str, num_workers: int) -> None:
    assert amounts_to(words, None).tables["cluster"]["num_workers"] == num_workers


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--adversarial 1 --err-mode constant", True),
        ("--adversarial=-50", True),
        ("", False),
        ("--adversarial 1 --err-mode foe", False),
    ],
)
def test_a_strength_that_had_no_effect_there_is_noted_where_it_has_one_here(words: str, says: bool) -> None:
    notes = amounts_to(words).notes
    assert any("has its effect; there, it is -100 whatever it says" in note for note in notes) == says


def test_the_epochs_are_a_cap_on_the_steps() -> None:
    meant = amounts_to("--epochs 2 --batch-size 250 --max-steps 1000")
    assert meant.tables["run"]["steps"] == 2 * 60_000 // 250
    assert any("--epochs 2 ends the run after 480 steps" in note for note in meant.notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--approach molls", "--approach: there is no 'molls'; did you mean 'mols'?"),
        ("--mode median", "--mode: there is no 'median'; did you mean 'coord-median'?"),
        ("--err-mode foes", "did you mean 'foe'?"),
        ("--byzantine-gen hardcoded", "did you mean 'hard_coded'?"),
        ("--approach draco_lite_attack --detox-attack best", "--detox-attack: there is no 'best'"),
        ("--compress-grad yes", "--compress-grad: there is no 'yes'; known: None, compress, none"),
        ("--dataset Cifar", "--dataset: there is no 'Cifar'; did you mean 'Cifar10'?"),
        ("--network ResNet", "did you mean 'ResNet"),
        ("--network LeNet --dataset Cifar10", "LeNet could not run there on Cifar10, whose images have 3 channels; use ResNet18"),
        ("--network ResNet18", "ResNet18 could not run there on MNIST, whose images have 1 channel; use LeNet or FC"),
        ("--mode krum", "krum could not run there with --approach mols; use coord-median, bulyan, multi-krum or sign-sgd"),
        ("--mode geometric_median", "or --mode coord-median --set aggregation.rule=geometric_median"),
        ("--approach maj_vote", "coord-median could not run there with --approach maj_vote; use normal or maj_vote"),
        ("--approach rama_two", "--rama-m: must be at least 1; got -1"),
        ("--approach rama_one --group-size 0", "--group-size: must be at least 1; got 0"),
        ("--batch-size 24", "--batch-size: must be at least the 25 files of mols, one sample each; got 24"),
        ("--batch-size 70000", "--batch-size: must not exceed the 60000 training samples; got 70000"),
        ("--worker-fail=-1", "--worker-fail: must be at least 0; got -1"),
        ("--eval-freq 0", "--eval-freq: must be at least 1; got 0"),
        ("--bucket-size=-1", "--bucket-size: must be at least 0; got -1"),
        ("--adversarial 1", "--adversarial: must be negative with rev_grad; got 1; leave it out for -100"),
        ("--gamma 0", "--gamma: must be positive; got 0"),
        ("--gamma 0.9 --lr-step 0", "--lr-step: must be at least 1; got 0"),
        ("--group-size 4", "mols needs num_workers = load * replication"),
    ],
)
def test_what_does_not_exist_or_could_not_run_there_is_refused_in_one_line(words: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        amounts_to(words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("approach", ["baseline", "draco_lite", "maj_vote"])
def test_workers_are_required_where_nothing_determines_them(approach: str) -> None:
    with pytest.raises(ConfigError, match=r"--workers: is required with --approach .*, unless mpirun -n K\+1 starts"):
        amounts_to(f"--approach {approach}", None)


def test_every_combination_is_a_run_file_or_is_refused_by_the_flag_that_does_not_fit() -> None:
    runs = refusals = 0
    for approach, mode, buckets, error in itertools.product(
        APPROACHES, RULES, (0, 5), ("--err-mode rev_grad", "--err-mode constant", "--err-mode foe", "--lis-simulation simulate")
    ):
        words = f"--approach {approach} --mode {mode} --bucket-size {buckets} {error} --rama-m 3"
        try:
            tables = amounts_to(words, 9 if approach == "rama_two" else 15).tables
        except ConfigError as refusal:
            message = str(refusal)
        else:
            assert isinstance(from_table(tables), RunConfig)
            runs += 1
            continue
        assert message.startswith(f"--mode: {mode} could not run there with --approach {approach}; use ")
        refusals += 1
    # Of 8 modes, baseline has 7, maj_vote and cyclic 2, and each of the other six names 4.
    assert (runs, refusals) == ((7 + 2 * 2 + 6 * 4) * 8, (1 + 2 * 6 + 6 * 4) * 8)


def test_every_network_is_a_model_for_the_data_sets_that_it_could_run_on_there() -> None:
    fit = set()
    for network, dataset in itertools.product(NETWORKS, DATASETS):
        try:
            tables = amounts_to(f"--network {network} --dataset {dataset}").tables
        except ConfigError:
            continue
        fit.add((network, dataset))
        assert tables["model"] == {"name": NETWORKS[network]}
    color = {"Cifar10", "SVHN", "Cifar100"}
    assert fit == {(n, d) for n in NETWORKS for d in (color if n not in ("LeNet", "FC") else {"MNIST"})}


def test_the_flags_are_those_of_the_published_code() -> None:
    published = """batch-size test-batch-size max-steps epochs lr momentum no-cuda seed log-interval network mode dataset
        comm-type err-mode approach num-aggregate eval-freq train-dir adversarial worker-fail group-size bucket-size compress-grad
        checkpoint-step lis-simulation local-remote rama-m detox-attack byzantine-gen gamma lr-step"""
    assert {flag.name for flag in FLAGS} == set(published.split())
    sections = RunConfig.sections()
    for flag in FLAGS:
        for key in flag.sets.replace(" or ", ", ").split(", ") if flag.sets else []:
            section, _, name = key.partition(".")
            assert name in sections[section].known_keys() or sections[section].takes_options(), key
        assert flag.sets or flag.help.startswith("no effect")


def test_the_page_for_users_of_the_published_code_explains_every_flag() -> None:
    page = (Path(__file__).parents[3] / "docs" / "from_byzshield.md").read_text(encoding="utf-8")
    assert [flag.name for flag in FLAGS if f"`--{flag.name}`" not in page] == []
