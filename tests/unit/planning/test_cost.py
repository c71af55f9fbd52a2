"""The predicted cost of a step, against counts by hand."""

import pytest

from byzshield.placement import baseline, frc, mols
from byzshield.planning import Cluster, cost_of

CLUSTER = Cluster(num_parameters=1_000_000, bandwidth=8e9, gradient_seconds=10.0)


def test_the_cost_is_what_a_count_by_hand_gives():
    # K = 15, f = 25, l = 5, r = 3; a gradient is 4 MB in 4 chunks; the link moves 1 GB/s; a worker computes 5 of 25 files.
    cost = cost_of(mols(load=5, replication=3), CLUSTER)
    assert cost.compute == 3
    assert cost.server_bytes_sent == 15 * 4_000_000
    assert cost.server_bytes_received_full == 75 * 4_000_000
    assert cost.server_bytes_received_digest == 25 * 4_000_000 + 75 * 4 * 32
    assert cost.step_seconds_full == pytest.approx(2.0 + 0.06 + 0.3)
    assert cost.step_seconds_digest == pytest.approx(2.0 * 2 / 3 + 0.06 + 0.1 + 9.6e-6)  # two of three copies decide


def test_where_each_worker_holds_one_file_all_copies_are_computed_at_once():
    cost = cost_of(frc(num_workers=15, replication=3), CLUSTER)
    assert cost.step_seconds_digest == pytest.approx(2.0 + 0.06 + 5 * 0.004 + 15 * 4 * 32 / 1e9)


def test_the_baseline_divides_the_batch_evenly():
    assert cost_of(baseline(num_workers=5), CLUSTER).step_seconds_full == pytest.approx(2.0 + 2 * 5 * 0.004)
