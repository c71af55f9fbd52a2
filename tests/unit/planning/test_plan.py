"""The planner: what it lists, and what it recommends."""

import json

import pytest

from byzshield.errors import ParameterError
from byzshield.planning import Cluster, plan

CLUSTER = Cluster(num_parameters=1_000_000, bandwidth=8e9, gradient_seconds=10.0)


def test_twenty_five_workers_with_five_byzantine_take_ramanujan2():
    made = plan(25, 5, CLUSTER, time_limit=None)
    best = made.options[0]
    assert made.recommended is best
    assert (best.assignment.scheme, best.worst.c_max, best.assignment.num_files) == ("ramanujan2", 2, 25)
    assert "2 of 25 files" in made.reason
    assert "0.200 without redundancy and 0.200 in groups of 5" in made.reason
    epsilons = [option.epsilon for option in made.options]
    assert epsilons == sorted(epsilons)


def test_a_placement_that_needs_more_workers_is_listed_but_not_recommended():
    made = plan(26, 6, CLUSTER, most_copies=3, time_limit=None)
    larger = [option for option in made.options if option.assignment.num_workers > 26]
    assert larger
    assert made.options[0] in larger
    assert made.recommended not in larger
    assert made.recommended is not None
    assert made.recommended.assignment.num_workers <= 26


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
