"""The spectrum report against values known on paper."""

from math import cos, pi

import pytest

from byzshield.placement import baseline, cyclic, frc, mols, ramanujan1, ramanujan2, spectrum


@pytest.mark.parametrize(
    "assignment",
    [mols(load=8, replication=5), mols(load=5, replication=3), ramanujan1(load=7, replication=5), ramanujan2(m=5, replication=5)],
    ids=lambda a: f"{a.scheme}-{a.num_workers}",
)
def test_mols_and_ramanujan_placements_have_second_eigenvalue_one_over_r(assignment):
    report = spectrum(assignment)
    assert report.mu1 == pytest.approx(1 / assignment.replication)
    assert report.second_singular_value**2 == pytest.approx(assignment.load)
    assert report.is_ramanujan


def test_repeating_every_file_keeps_the_eigenvalue():
    assert spectrum(ramanujan2(m=10, replication=5)).mu1 == pytest.approx(1 / 5)


def test_groups_are_disconnected():
    report = spectrum(frc(num_workers=15, replication=3))
    assert report.mu1 == pytest.approx(1)
    assert not report.is_ramanujan


def test_a_circle_has_the_eigenvalue_of_a_circulant():
    # The circulant with three ones in a row has eigenvalues 1 + 2 cos(2 pi k / K).
    report = spectrum(cyclic(num_workers=20, replication=3))
    assert report.second_singular_value == pytest.approx(1 + 2 * cos(2 * pi / 20))
    assert report.ramanujan_limit == pytest.approx(2 * 2**0.5)
    assert not report.is_ramanujan


def test_one_worker_has_no_second_eigenvalue():
    assert spectrum(baseline(num_workers=1)).mu1 == 0
