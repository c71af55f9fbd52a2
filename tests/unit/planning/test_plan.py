"""The planner: what it lists, and what it recommends."""

import json
from dataclasses import replace

import pytest

from byzshield.distortion import WorstCase
from byzshield.errors import ParameterError
from byzshield.placement import assignment, baseline
from byzshield.planning import Cluster, Option, cost_of, plan, reasons
from byzshield.planning.memory import server_bytes
from byzshield.planning.plan import choose

CLUSTER = Cluster(num_parameters=1_000_000, bandwidth=8e9, gradient_seconds=10.0)


def label(option):
    return option.assignment.scheme, option.assignment.num_workers, option.assignment.replication


def option(**facts):
    """An option with a step time, of a placement without redundancy."""
    seconds, wrong, files = facts.pop("seconds", 1.0), facts.pop("wrong", 1), facts.pop("files", 10)
    worst = WorstCase(num_byzantine=wrong, c_max=wrong, epsilon=wrong / files, exact=True, witness=(), upper_bound=wrong)
    placed = baseline(num_workers=files)
    cost = replace(cost_of(placed, CLUSTER), step_seconds_digest=seconds, **facts)
    return Option(assignment=placed, worst=worst, cost=cost)


def test_fifteen_workers_of_which_three_lie_take_three_copies_of_each_file_and_use_them_all():
    made = plan(15, 3, time_limit=None)
    assert label(made.recommended) == ("mols", 15, 3)
    assert str(made.recommended.rule) == "nnm+median"
    assert "3 of 25 files" in made.reason
    assert "0.200 without redundancy and 0.200 in groups of 3" in made.reason
    assert made.tolerated == 6  # the rule bears 12 of 25 wrong files, which is the worst case of 6 workers
    faster, safer = made.remarks
    assert faster.startswith("Faster: baseline")
    assert safer.startswith("Safer: cyclic")


def test_twenty_five_workers_with_five_byzantine_take_ramanujan2():
    made = plan(25, 5, time_limit=None)
    assert label(made.recommended) == ("ramanujan2", 25, 5)
    assert made.recommended is made.options[0]
    assert "2 of 25 files" in made.reason
    epsilons = [option.epsilon for option in made.options]
    assert epsilons == sorted(epsilons)


def test_the_fastest_within_the_share_is_recommended_and_without_one_the_smallest_worst_case():
    slow, fast, worse = option(seconds=3, wrong=0), option(seconds=2, wrong=1), option(seconds=1, wrong=3)
    assert choose([slow, fast, worse], 0.15) is fast
    assert choose([slow, fast, worse], 0.05) is slow
    assert choose([slow, fast, worse], 0.5) is worse
    assert choose([worse, option(seconds=0, wrong=4)], 0.05) is worse
    assert choose([], 0.15) is None


def test_of_equally_good_ones_the_one_that_leaves_fewer_workers_idle_is_taken():
    few, many = option(files=10, wrong=1), option(files=20, wrong=2)
    assert choose([few, many], 0.15) is many


def test_few_liars_need_no_redundancy():
    made = plan(15, 2, time_limit=None)
    assert label(made.recommended) == ("baseline", 15, 1)
    assert "Each file is computed once." in made.reason
    assert made.remarks[0].startswith("Safer: ")


def test_where_nothing_keeps_to_the_share_the_reason_says_so():
    assert "None keeps to 0.15" in plan(15, 4, time_limit=None).reason


def test_no_liars_need_the_mean_alone():
    made = plan(4, 0)
    assert str(made.recommended.rule) == "mean"
    assert "the mean loses nothing" in made.reason


def test_a_placement_that_leaves_workers_idle_says_why_it_is_better_all_the_same():
    few = option(files=10, wrong=1, seconds=2)
    assert reasons.idle(few, option(files=11, wrong=4, seconds=1), 11, 0.15) == (
        "1 of the 11 workers stays idle: the best placement of all 11, "
        "baseline (11 workers, 11 files, replication 1), has epsilon 0.364."
    )
    assert reasons.idle(few, option(files=12, wrong=1, seconds=3), 12, 0.15) == (
        "2 of the 12 workers stay idle: the best placement of all 12, "
        "baseline (12 workers, 12 files, replication 1), takes 3.00 s a step."
    )
    assert reasons.idle(few, None, 12, 0.15).endswith("no rule bears the worst case of a placement of all 12.")


def test_idle_workers_are_spoken_of_where_there_are_any():
    made = plan(26, 6, CLUSTER, time_limit=None)
    assert made.recommended.assignment.num_workers == 25
    assert "1 of the 26 workers stays idle" in made.remarks[-1]
    assert not any("idle" in remark for remark in plan(15, 3, CLUSTER, time_limit=None).remarks)


def test_a_placement_that_needs_more_workers_is_listed_but_not_recommended():
    made = plan(26, 6, CLUSTER, most_copies=3, time_limit=None)
    larger = [option for option in made.options if option.assignment.num_workers > 26]
    assert larger
    assert made.options[0] in larger
    assert made.recommended is not None
    assert made.recommended.assignment.num_workers <= 26


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("epsilon", lambda option: option.epsilon),
        ("cost", lambda option: option.seconds),
        ("memory", lambda option: option.server_memory_bytes),
    ],
)
def test_rows_come_in_the_order_that_is_asked_for_and_those_that_no_rule_bears_last(order, key):
    made = plan(9, 3, CLUSTER, sort=order)
    borne = [option for option in made.options if option.rule is not None]
    assert made.options[: len(borne)] == tuple(borne)
    assert [key(option) for option in borne] == sorted(key(option) for option in borne)
    assert label(made.recommended) == label(plan(9, 3, CLUSTER).recommended)


def test_audits_add_two_copies_that_are_arbitrated_and_one_that_is_sampled():
    made = plan(15, 3, CLUSTER, audit_rate=0.1, time_limit=None)
    audited = {label(option): option for option in made.options if option.audit != "none"}
    arbitrated = audited["mols", 14, 2]
    assert (arbitrated.audit, arbitrated.assignment.threshold, arbitrated.worst.c_max) == ("arbitrate", 2, 2)
    sampled = audited["baseline", 15, 1]
    assert (sampled.audit, sampled.worst.c_max, sampled.as_json()["compute"]) == ("sample", 3, 1.1)
    assert sampled.seconds == pytest.approx(sampled.cost.step_seconds_digest + 0.1 * CLUSTER.gradient_seconds)
    assert {option.assignment.replication for option in made.options if option.audit == "arbitrate"} == {2}


def test_what_audits_promise_is_said():
    sampled = replace(option(), audit="sample", audit_rate=0.05)
    assert "19 wrong files past it on average" in reasons.why(sampled, 1, 0.15, 4)
    arbitrated = plan(16, 4, CLUSTER, audit_rate=0.05, time_limit=None)
    assert arbitrated.recommended.audit == "arbitrate"
    assert "the server computes one whose copies disagree" in arbitrated.reason


def test_a_pre_aggregator_that_works_in_place_needs_no_room_for_its_rows():
    made = plan(9, 2, CLUSTER)
    mixed = next(option for option in made.options if option.rule is not None and option.rule.pre)
    assert mixed.server_memory_bytes == server_bytes(num_files=mixed.assignment.num_files, size=1_000_000)


def test_placements_that_are_too_large_to_be_analyzed_are_left_out_and_the_plan_is_made_without_them(monkeypatch):
    monkeypatch.setattr(assignment, "MOST_ANALYZED", 1_000_000)
    made = plan(57, 5, CLUSTER, most_copies=3, slack=0, time_limit=0.01)
    assert {left.num_files for left in made.left_out} == {19**2, 57 * 56 // 6}
    assert {label(option) for option in made.options} == {("baseline", 57, 1), ("frc", 57, 3), ("cyclic", 57, 3)}


def test_too_many_byzantine_workers_are_said_to_be_too_many():
    made = plan(10, 6, CLUSTER)
    assert made.recommended is None
    assert not any(option.honest_majority for option in made.options)
    assert not any(row["honest_majority"] for row in made.as_json()["rows"])
    assert "more than any" in made.reason
    assert "0.600" in made.reason
    document = made.as_json()
    assert document["recommended"] is None
    assert not any(row["recommended"] for row in document["rows"])


def test_half_of_the_files_is_already_too_many():
    made = plan(4, 2, CLUSTER, most_copies=1)
    assert [option.epsilon for option in made.options] == [0.5]
    assert made.recommended is None


def test_a_result_that_is_not_proved_counts_by_its_bound():
    made = plan(77, 14, CLUSTER, most_copies=7, slack=0, time_limit=0.1)
    cut = next(option for option in made.options if option.assignment.replication == 7 and option.assignment.load == 11)
    assert not cut.worst.exact
    assert cut.epsilon == cut.worst.upper_bound / 121
    assert cut.as_json()["upper_bound"] == cut.worst.upper_bound
    if cut is made.recommended:
        assert f"at most {cut.worst.upper_bound} of 121" in made.reason


def test_the_document_is_json_with_every_number_a_user_compares():
    made = json.loads(json.dumps(plan(9, 2, CLUSTER).as_json()))
    assert {"num_workers", "num_byzantine", "num_parameters", "bandwidth", "gradient_seconds", "rows", "reason"} < set(made)
    assert [row["recommended"] for row in made["rows"]].index(True) == made["recommended"]
    for row in made["rows"]:
        assert row["num_workers"] * row["load"] == row["num_files"] * row["replication"]
        assert row["compute"] == row["replication"]
        assert row["server_bytes_received_digest"] <= row["server_bytes_received_full"] + 32 * 9 * 4 * 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 0, CLUSTER), "at least 1 worker"),
        ((5, 5, CLUSTER), "less than the 5 workers"),
        ((5, -1, CLUSTER), "at least 0"),
        ((5, 1, Cluster(num_parameters=0, bandwidth=1, gradient_seconds=1)), "parameters; got 0"),
        ((5, 1, Cluster(num_parameters=10**16, bandwidth=1, gradient_seconds=1)), "parameters; got 1"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=0, gradient_seconds=1)), "bandwidth of at least 1 bit"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=1e-300, gradient_seconds=1)), "bandwidth of at least 1 bit"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=float("nan"), gradient_seconds=1)), "finite bandwidth"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=float("inf"), gradient_seconds=1)), "finite bandwidth"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=1, gradient_seconds=-1)), "gradient time of at least 0"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=1, gradient_seconds=float("nan"))), "finite gradient time"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=1, gradient_seconds=float("inf"))), "finite gradient time"),
    ],
)
def test_impossible_requests_are_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        plan(*arguments)


@pytest.mark.parametrize("slack", [-1, 6, 10**11])
def test_a_slack_that_is_negative_or_more_than_the_workers_is_refused(slack):
    with pytest.raises(ParameterError, match="between 0 and the 5 workers"):
        plan(5, 1, CLUSTER, slack=slack)


def test_a_replication_below_one_is_refused():
    with pytest.raises(ParameterError, match="at least 1; got 0"):
        plan(5, 1, CLUSTER, most_copies=0)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"accept": 0.6}, "between 0 and 0.5"),
        ({"accept": float("nan")}, "between 0 and 0.5"),
        ({"audit_rate": 0.0}, "more than 0"),
        ({"audit_rate": 1.5}, "at most 1"),
        ({"sort": "price"}, "epsilon, cost, memory"),
    ],
)
def test_choices_that_are_none_are_refused(keywords, words):
    with pytest.raises(ParameterError, match=words):
        plan(5, 1, CLUSTER, **keywords)
