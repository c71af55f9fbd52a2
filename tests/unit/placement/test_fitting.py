"""The placements that fit a number of workers."""

from byzshield.placement import fitting_placements, ramanujan2


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
        ("steiner", 25, 12, 3),
    }  # fmt: skip


def test_even_replications_are_there_where_somebody_settles_what_disagrees():
    found = {(a.scheme, a.num_workers, a.replication) for a in fitting_placements(15, most_copies=2, slack=1, even=True)}
    assert found == {
        ("baseline", 15, 1),
        ("frc", 14, 2),
        ("cyclic", 15, 2),
        ("mols", 14, 2),
        ("mols", 16, 2),
        ("ramanujan1", 14, 2),
    }


def test_without_slack_only_exact_fits_are_there():
    assert {a.num_workers for a in fitting_placements(35, most_copies=7, slack=0)} == {35}
    assert {a.scheme for a in fitting_placements(35, most_copies=5, slack=0)} == {
        "baseline",
        "frc",
        "cyclic",
        "mols",
        "ramanujan1",
    }


def test_a_replication_of_more_than_all_workers_is_not_tried():
    everything = {(a.scheme, a.num_workers, a.replication) for a in fitting_placements(5, most_copies=10**12, slack=1)}
    assert everything == {("baseline", 5, 1), ("frc", 5, 5), ("cyclic", 5, 3), ("cyclic", 5, 5)}


def test_a_larger_m_repeats_files_and_changes_no_epsilon():
    # Why ramanujan2 is built with m = s only.
    once, thrice = ramanujan2(m=3, replication=3), ramanujan2(m=9, replication=3)
    columns = {tuple(column) for column in thrice.incidence.T.tolist()}
    assert columns == {tuple(column) for column in once.incidence.T.tolist()}
