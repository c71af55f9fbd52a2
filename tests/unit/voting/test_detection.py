"""Who is proven Byzantine by whom it disagrees with, and what that leaves to forgers."""

from collections.abc import Iterator
from itertools import combinations, product

import pytest

from byzshield.placement import Assignment, aspis, mols
from byzshield.voting import Ballot, Detection, disagreements

SMALL = aspis(num_workers=5, replication=3)
SEVEN = aspis(num_workers=7, replication=3)


def voted(assignment: Assignment, forged: set[tuple[int, int]]) -> list[Ballot[str]]:
    """Ballots on which the pairs (worker, file) of `forged` have a forged copy, and all other holders the true one."""
    ballots = [Ballot[str](workers, counted_at_end=True) for workers in assignment.workers_of.tolist()]
    for file, ballot in enumerate(ballots):
        for worker in ballot.voters:
            ballot.cast(worker, "forged" if (worker, file) in forged else "true")
    return ballots


def decide(ballots: list[Ballot[str]], num_workers: int, bound: int) -> tuple[frozenset[int], int]:
    """The discarded workers and the number of files that a forged copy wins."""
    discarded, searched = Detection(bound).judge(1, disagreements(ballots, num_workers))
    assert searched
    for ballot in ballots:
        ballot.count(discarded)
    return discarded, sum(ballot.winner == "forged" for ballot in ballots)


def published_discards(against: list[int], bound: int) -> frozenset[int] | None:
    """Whom the published system discards, where one clique is the largest and has K - q workers; None if it detects nobody."""
    everybody = range(len(against))
    cliques = [
        set(clique)
        for size in everybody
        for clique in combinations(everybody, size + 1)
        if all(not against[one] >> other & 1 for one, other in combinations(clique, 2))
    ]
    largest = max(map(len, cliques))
    best = [clique for clique in cliques if len(clique) == largest]
    return frozenset(everybody) - best[0] if len(best) == 1 and largest == len(against) - bound else None


def test_all_who_forge_everything_are_found_and_no_file_is_corrupted() -> None:
    forged = {(worker, file) for worker in (1, 4, 6) for file in SEVEN.files_of[worker].tolist()}
    ballots = voted(SEVEN, forged)
    assert decide(ballots, 7, 3) == ({1, 4, 6}, 0)
    assert [set(ballot.voters) for ballot in ballots if ballot.winner is None] == [{1, 4, 6}]


def test_the_published_attack_makes_two_equal_cliques_and_wins_its_files() -> None:
    # ATT-2 with A = {0, 1, 2} and D = {3, 4, 5}: C(6, 3) / 2 = 10 files.
    forged = {
        (worker, file)
        for file, workers in enumerate(SEVEN.workers_of.tolist())
        for worker in workers
        if worker < 3 and set(workers) <= {0, 1, 2, 3, 4, 5}
    }
    assert decide(voted(SEVEN, forged), 7, 3) == (set(), 10)


def test_a_largest_clique_of_more_than_k_minus_q_workers_does_not_condemn_the_honest() -> None:
    # 0, 1 and 2 collude against 3 and 4 only: with 5 and 6 they are the one largest clique, of five, and yet not the honest one.
    forged = {
        (worker, file)
        for file, workers in enumerate(SEVEN.workers_of.tolist())
        for worker in workers
        if worker < 3 and set(workers) <= {0, 1, 2, 3, 4}
    }
    ballots = voted(SEVEN, forged)
    discarded, corrupted = decide(ballots, 7, 3)
    assert not discarded & {3, 4, 5, 6}
    assert corrupted == 7  # the three pairs of forgers with 3 or 4, and the three forgers alone; not all ten files of the five


def test_nobody_is_accused_where_more_than_the_bound_have_lied() -> None:
    forged = {(worker, file) for worker in (0, 1, 2) for file in SEVEN.files_of[worker].tolist() if file % 3 == worker}
    ballots = voted(SEVEN, forged)
    assert Detection(1).judge(1, disagreements(ballots, 7)) == (frozenset(), True)


def test_whoever_is_silent_disagrees_with_nobody() -> None:
    ballots = [Ballot[str](workers, counted_at_end=True) for workers in SMALL.workers_of.tolist()]
    for ballot in ballots:
        for worker in ballot.voters - {4}:
            ballot.cast(worker, "true")
    assert disagreements(ballots, 5) == [0] * 5
    assert decide(ballots, 5, 2) == (set(), 0)
    assert all(ballot.winner == "true" for ballot in ballots)


def test_the_search_that_is_cut_short_names_only_those_who_disagree_with_too_many() -> None:
    against = [0b1110, 0b0001, 0b0001, 0b0001, 0b100000, 0b010000, 0, 0]
    assert Detection(2, budget=0).judge(1, against) == ({0}, False)
    assert Detection(2).judge(1, against) == ({0}, True)


def strategies(byzantine: tuple[int, int]) -> Iterator[set[tuple[int, int]]]:
    """All ways in which two workers forge or do not forge each of their files in `SMALL`."""
    pairs = [(worker, file) for worker in byzantine for file in SMALL.files_of[worker].tolist()]
    for choice in product((False, True), repeat=len(pairs)):
        yield {pair for pair, forge in zip(pairs, choice, strict=True) if forge}


def test_no_way_to_forge_wins_more_than_c_2q_r_halved_and_no_honest_worker_is_ever_discarded() -> None:
    # K = 5, q = 2, r = 3: all 2^12 ways of two workers with six files each; C(4, 3) / 2 = 2, where the vote alone would lose 3.
    most = 0
    for forged in strategies((0, 1)):
        ballots = voted(SMALL, forged)
        expected = published_discards(disagreements(ballots, 5), 2)
        discarded, corrupted = decide(ballots, 5, 2)
        assert discarded <= {0, 1}
        if expected is not None:
            assert discarded == expected
        most = max(most, corrupted)
    assert most == 2


@pytest.mark.parametrize("bound", [2, 3])
def test_a_placement_whose_workers_share_few_files_is_never_worse_off_than_by_the_vote_alone(bound: int) -> None:
    assignment = mols(load=5, replication=3)
    members = range(bound)
    forged = {(worker, file) for worker in members for file in assignment.files_of[worker].tolist()}
    plain = sum(len(set(workers) & set(members)) >= 2 for workers in assignment.workers_of.tolist())
    discarded, corrupted = decide(voted(assignment, forged), 15, bound)
    assert discarded == set(members)
    assert corrupted <= plain


class TestAWindow:
    def test_disagreements_add_up_until_it_is_over(self) -> None:
        detection = Detection(2, window=3)
        first, second, none = [0b00010, 0b00001, 0, 0, 0], [0b01100, 0, 0b00001, 0b00001, 0], [0] * 5
        assert detection.judge(1, first) == (set(), True)
        assert detection.judge(2, second) == ({0}, True)  # by then 0 has three against it
        assert detection.judge(3, none) == ({0}, True)
        assert detection.judge(4, first) == (set(), True)
        assert detection.judge(5, none) == (set(), True)

    def test_a_restored_one_remembers(self) -> None:
        detection, restored = Detection(2, window=3), Detection(2, window=3)
        detection.judge(1, [0b00010, 0b00001, 0, 0, 0])
        restored.load_state_dict(detection.state_dict())
        assert restored.judge(2, [0b01100, 0, 0b00001, 0b00001, 0]) == ({0}, True)
        assert restored.state_dict() == {"window": 0, "against": [[1, 2, 3], [0], [0], [0], []]}

    def test_of_one_step_nothing_is_remembered(self) -> None:
        detection = Detection(1)
        assert detection.judge(1, [0b110, 0b001, 0b001]) == ({0}, True)
        assert detection.judge(2, [0, 0, 0]) == (set(), True)
