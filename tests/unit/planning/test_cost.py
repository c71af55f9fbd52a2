"""The predicted cost of a step, against counts by hand."""

from dataclasses import replace

import pytest

from byzshield.errors import ParameterError
from byzshield.placement import baseline, frc, mols
from byzshield.planning import Cluster, cost_of

CLUSTER = Cluster(num_parameters=1_000_000, bandwidth=32e9, gradient_seconds=10.0)


def test_the_cost_is_what_a_count_by_hand_gives():
    # K = 15, f = 25, l = 5, r = 3; a gradient is 4 MB in 4 chunks; the link moves 4 GB/s; a worker computes 5 of 25 files.
    cost = cost_of(mols(load=5, replication=3), CLUSTER)
    assert cost.compute == 3
    assert cost.server_bytes_sent == 15 * 4_000_000
    assert cost.server_bytes_received_full == 75 * 4_000_000
    assert cost.server_bytes_received_digest == 25 * 4_000_000 + 75 * 4 * 32
    # The server works for 0.5 ns on each byte, and for 14 us on each chunk, which is longer than a byte's 0.25 ns on the link.
    worker = 2.0 + 5 * 0.004 * 0.9  # and a worker for 0.9 ns on each byte of its gradients
    assert cost.step_seconds_full == pytest.approx(worker + 0.015 + 0.3 * 0.5 + 300 * 14e-6)
    assert cost.step_seconds_digest == pytest.approx(
        worker * 2 / 3 + 0.015 + 0.1 * 0.5 + 100 * 14e-6
    )  # two of three copies decide


def test_where_each_worker_holds_one_file_all_copies_are_computed_at_once():
    cost = cost_of(frc(num_workers=15, replication=3), CLUSTER)
    assert cost.step_seconds_digest == pytest.approx(2.0 + 0.0036 + 0.015 + 5 * 0.004 * 0.5 + 20 * 14e-6)


def test_the_baseline_divides_the_batch_evenly():
    assert cost_of(baseline(num_workers=5), CLUSTER).step_seconds_full == pytest.approx(2.0036 + 0.005 + 0.02 * 0.5 + 20 * 14e-6)


def test_on_a_slow_link_its_bandwidth_and_latency_decide():
    cluster = replace(CLUSTER, bandwidth=1e9, latency=0.1)
    cost = cost_of(mols(load=5, replication=3), cluster)
    assert cost.step_seconds_full == pytest.approx(0.1 + 2.018 + 8 * (0.06 + 0.3))
    assert cost.step_seconds_digest == pytest.approx(2 * 0.1 + 2.018 * 2 / 3 + 8 * (0.06 + 0.1))


def test_with_a_thousand_workers_and_nothing_to_compute_the_votes_decide():
    cluster = Cluster(num_parameters=610, bandwidth=1e12, gradient_seconds=0.0)
    votes, payloads = 992 * 32 * 16 / 31, 1024
    assert cost_of(mols(load=32, replication=31), cluster).step_seconds_digest == pytest.approx(
        (votes + payloads) * 14e-6, rel=0.02
    )


@pytest.mark.parametrize("latency", [-1.0, float("nan"), float("inf")])
def test_a_latency_that_is_none_is_refused(latency: float):
    with pytest.raises(ParameterError, match="finite latency of at least 0"):
        Cluster(latency=latency)
