"""The planner: what fits, what it costs, and what it recommends."""

import json

import pytest

from byzshield.errors import ParameterError
from byzshield.placement import baseline, mols, ramanujan2
from byzshield.planning.candidates import fitting_placements
from byzshield.planning.cost import Cluster, cost_of
from byzshield.planning.plan import plan

CLUSTER = Cluster(num_parameters=1_000_000, bandwidth=8e9, gradient_seconds=10.0)


def test_every_placement_that_fits_is_there():
    found = {(a.scheme, a.num_workers, a.load, a.replication) for a in fitting_placements(25, most_copies=7, slack=2)}
    assert found == {
        ("baseline", 25, 1, 1),
        ("frc", 24, 1, 3),
        ("frc", 25, 1, 5),
        ("cyclic", 25, 3, 3),
        ("cyclic", 25, 5, 5),
        ("cyclic", 25, 7, 7),
        ("mols", 24, 8, 3),
        ("mols", 27, 9, 3),
        ("ramanujan2", 25, 5, 5),
    }  # fmt: skip


def test_without_slack_only_exact_fits_are_there():
    assert {a.num_workers for a in fitting_placements(35, most_copies=7, slack=0)} == {35}
    assert {a.scheme for a in fitting_placements(35, most_copies=5, slack=0)} == {
        "baseline",
        "frc",
        "cyclic",
        "mols",
        "ramanujan1",
    }


def test_the_cost_is_what_a_count_by_hand_gives():
    # K = 15, f = 25, l = 5, r = 3; a gradient is 4 MB in 4 chunks; the link moves 1 GB/s; a worker computes 5 of 25 files.
    cost = cost_of(mols(load=5, replication=3), CLUSTER)
    assert cost.compute == 3
    assert cost.server_bytes_sent == 15 * 4_000_000
    assert cost.server_bytes_received_full == 75 * 4_000_000
    assert cost.server_bytes_received_digest == 25 * 4_000_000 + 75 * 4 * 32
    assert cost.step_seconds_full == pytest.approx(2.0 + 0.06 + 0.3)
    assert cost.step_seconds_digest == pytest.approx(2.0 + 0.06 + 0.1 + 9.6e-6)


def test_the_baseline_divides_the_batch_evenly():
    assert cost_of(baseline(num_workers=5), CLUSTER).step_seconds_full == pytest.approx(2.0 + 2 * 5 * 0.004)


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
    assert not any(option.bears for option in made.options)
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
        ((5, 1, Cluster(num_parameters=0, bandwidth=1, gradient_seconds=1)), "1 parameter"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=0, gradient_seconds=1)), "positive bandwidth"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=float("nan"), gradient_seconds=1)), "positive bandwidth"),
        ((5, 1, Cluster(num_parameters=1, bandwidth=1, gradient_seconds=float("inf"))), "gradient time"),
    ],
)
def test_impossible_requests_are_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        plan(*arguments)


def test_a_larger_m_repeats_files_and_changes_no_epsilon():
    # Why the planner lists ramanujan2 with m = s only.
    once, thrice = ramanujan2(m=3, replication=3), ramanujan2(m=9, replication=3)
    columns = {tuple(column) for column in thrice.incidence.T.tolist()}
    assert columns == {tuple(column) for column in once.incidence.T.tolist()}
