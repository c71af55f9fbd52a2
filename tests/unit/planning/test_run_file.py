"""The run file of a plan: a run takes it as it is."""

from dataclasses import replace

import pytest

from byzshield.config import load
from byzshield.planning import plan, run_file
from byzshield.runtime.builder import Builder

PLANS = [(15, 3, None), (25, 5, None), (15, 2, None), (9, 0, None), (14, 3, 0.05)]


def written(option, tmp_path, num_workers=1):
    path = tmp_path / "plan.toml"
    path.write_text(run_file(option, num_workers=num_workers, path=str(path)), encoding="utf-8")
    return load(path)


def test_every_option_that_a_rule_bears_makes_a_run_of_its_placement_rule_and_worst_case(tmp_path):
    seen = set()
    for workers, byzantine, audit_rate in PLANS:
        for option in plan(workers, byzantine, audit_rate=audit_rate).options:
            key = (option.assignment.scheme, option.assignment.replication, option.audit, option.rule)
            if option.rule is None or key in seen:
                continue
            seen.add(key)
            builder = Builder(written(option, tmp_path, workers))
            assert (builder.assignment.files_of == option.assignment.files_of).all()
            assert builder.assignment.threshold == option.assignment.threshold
            assert builder.pipeline().num_corrupted == option.worst.upper_bound
            assert [type(operation).__name__.lower() for operation in builder.pipeline().pre] == list(option.rule.pre)
            assert builder.sampler.num_files == option.assignment.num_files
            assert builder.config.attack.num_byzantine == byzantine
    assert {"mols", "ramanujan1", "ramanujan2", "steiner", "cyclic", "frc", "baseline"} == {scheme for scheme, *_ in seen}
    assert {"none", "arbitrate", "sample"} == {audit for *_, audit, _ in seen}


def test_the_audits_of_an_option_are_those_of_its_run_file(tmp_path):
    options = plan(15, 3, audit_rate=0.25).options
    arbitrated = written(next(option for option in options if option.audit == "arbitrate"), tmp_path).audit
    sampled = written(next(option for option in options if option.audit == "sample"), tmp_path).audit
    plain = written(next(option for option in options if option.audit == "none"), tmp_path).audit
    assert (arbitrated.arbitrate, arbitrated.rate) == (True, 0)
    assert (sampled.arbitrate, sampled.rate) == (False, 0.25)
    assert not plain.enabled


def test_where_lies_are_settled_the_rehearsal_tells_those_that_nobody_contradicts(tmp_path):
    options = plan(15, 3, audit_rate=0.25).options
    files = {option.audit: written(option, tmp_path).attack.files for option in options if option.rule is not None}
    assert files == {"none": "all", "sample": "all", "arbitrate": "majority"}


def test_more_files_than_embedded_images_take_synthetic_ones(tmp_path):
    option = plan(213, 2, most_copies=3, slack=0, time_limit=0.1).options
    large = next(entry for entry in option if entry.assignment.num_files == 71**2)
    config = written(large, tmp_path)
    assert config.data.name == "synthetic"
    assert config.data.options["num_train"] >= config.data.batch_size == 71**2


def test_what_no_rule_bears_has_no_run_file():
    hopeless = plan(10, 6).options[0]
    with pytest.raises(ValueError, match="that a rule bears"):
        run_file(replace(hopeless), num_workers=10, path="plan.toml")
