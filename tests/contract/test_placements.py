"""Every registered placement, through every property that a placement must have."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from byzshield.errors import PlacementError, RequestError
from byzshield.placement import PLACEMENTS, Assignment, build

# For each scheme: sizes, and the files that two different workers may share.
EXAMPLES: dict[str, list[tuple[dict[str, Any], set[int]]]] = {
    "aspis": [
        ({"num_workers": 7, "replication": 3}, {5}),
        ({"num_workers": 7, "replication": 5}, {10}),
        ({"num_workers": 5, "replication": 5}, {1}),
        ({"num_workers": 4, "replication": 1}, {0}),
    ],
    "baseline": [({"num_workers": 7}, {0})],
    "custom": [({"path": str(Path(__file__).parent / "fano_placement.json")}, {1})],
    "cyclic": [
        ({"num_workers": 7, "replication": 3}, {0, 1, 2}),
        ({"num_workers": 11, "load": 5}, {0, 1, 2, 3, 4}),
        ({"num_workers": 5, "replication": 5}, {5}),
        ({"num_workers": 7, "replication": 2}, {0, 1}),
    ],
    "frc": [
        ({"num_workers": 16, "replication": 2}, {0, 1}),
        ({"num_workers": 15, "replication": 3}, {0, 1}),
        ({"num_workers": 25, "replication": 5}, {0, 1}),
    ],
    "mols": [
        ({"load": 5, "replication": 3}, {0, 1}),
        ({"load": 7, "replication": 5}, {0, 1}),
        ({"num_workers": 21, "replication": 3}, {0, 1}),
        ({"load": 4, "replication": 3}, {0, 1}),
        ({"load": 8, "replication": 5}, {0, 1}),
        ({"load": 9, "replication": 7}, {0, 1}),
        ({"load": 5, "replication": 2}, {0, 1}),
    ],
    "ramanujan1": [({"load": 5, "replication": size}, {0, 1}) for size in (2, 3, 4)] + [({"load": 7, "replication": 5}, {0, 1})],
    "ramanujan2": [
        ({"m": 5, "replication": 5}, {0, 1}),
        ({"m": 3, "num_workers": 9}, {0, 1}),
        ({"m": 10, "replication": 5}, {0, 2}),
    ],
    "steiner": [({"num_workers": size}, {1}) for size in (7, 9, 13, 15, 19, 21, 31, 33)],
}
CASES = [(scheme, sizes, shared) for scheme, examples in EXAMPLES.items() for sizes, shared in examples]


def test_every_registered_scheme_has_examples() -> None:
    assert set(PLACEMENTS.names()) == set(EXAMPLES)


@pytest.mark.parametrize(("scheme", "sizes", "shared"), CASES)
def test_the_graph_is_biregular(scheme: str, sizes: dict[str, Any], shared: set[int]) -> None:
    assignment = build(scheme, **sizes)
    incidence = assignment.incidence
    assert set(incidence.sum(axis=1)) == {assignment.load}
    assert set(incidence.sum(axis=0)) == {assignment.replication}
    assert assignment.num_workers * assignment.load == assignment.num_files * assignment.replication
    assert assignment.majority == assignment.replication // 2 + 1
    assert assignment.threshold == (assignment.majority if assignment.replication % 2 else assignment.replication)
    assert assignment.arbitrated().threshold == assignment.replication


@pytest.mark.parametrize(("scheme", "sizes", "shared"), CASES)
def test_two_workers_share_as_many_files_as_the_scheme_promises(scheme: str, sizes: dict[str, Any], shared: set[int]) -> None:
    files_of = [set(files) for files in build(scheme, **sizes).files_of.tolist()]
    assert {len(ours & theirs) for ours, theirs in combinations(files_of, 2)} == shared


@pytest.mark.parametrize(("scheme", "sizes", "shared"), CASES)
def test_workers_of_and_files_of_say_the_same(scheme: str, sizes: dict[str, Any], shared: set[int]) -> None:
    assignment = build(scheme, **sizes)
    pairs = {(worker, file) for worker, files in enumerate(assignment.files_of.tolist()) for file in files}
    assert pairs == {(worker, file) for file, workers in enumerate(assignment.workers_of.tolist()) for worker in workers}
    assert (np.diff(assignment.workers_of, axis=1) > 0).all()


@pytest.mark.parametrize("scheme", ["mols", "ramanujan1"])
def test_workers_of_one_square_share_nothing(scheme: str) -> None:
    assignment = build(scheme, load=5, replication=3)
    for square in range(3):
        files = assignment.files_of[5 * square : 5 * square + 5]
        assert sorted(files.ravel().tolist()) == list(range(25))


@pytest.mark.parametrize(
    ("scheme", "sizes", "words"),
    [
        ("mols", {"load": 6, "replication": 3}, "prime"),
        ("mols", {"load": 5, "replication": 5}, "replication < load"),
        ("mols", {"load": 5}, "two of"),
        ("mols", {"num_workers": 16, "replication": 3}, "does not divide"),
        ("mols", {"num_workers": 14, "load": 5, "replication": 3}, "use 15 workers"),
        ("ramanujan1", {"load": 9, "replication": 3}, "prime"),
        ("ramanujan1", {"load": 5, "replication": 7}, "replication < load"),
        ("ramanujan2", {"m": 9, "replication": 9}, "prime"),
        ("ramanujan2", {"m": 7, "replication": 5}, "divides"),
        ("ramanujan2", {"m": 5, "num_workers": 24}, "replication"),
        ("aspis", {"num_workers": 7}, "needs"),
        ("aspis", {"num_workers": 3, "replication": 5}, "at least as many workers"),
        ("aspis", {"num_workers": 400, "replication": 3}, "supported up to"),
        ("aspis", {"num_workers": 10**10, "replication": 5 * 10**9 + 1}, "supported up to"),
        ("cyclic", {"num_workers": 7}, "needs"),
        ("cyclic", {"num_workers": 3, "replication": 5}, "at least as many workers"),
        ("cyclic", {"num_workers": 7, "replication": 3, "load": 5}, "load = replication"),
        ("custom", {}, "path"),
        ("custom", {"path": "placement.txt"}, "npy"),
        ("custom", {"path": "no_such_file.json"}, "cannot be read"),
        ("steiner", {}, "needs the number of workers"),
        ("steiner", {"num_workers": 11}, "7, 9, 13"),
        ("steiner", {"num_workers": 3}, "7, 9, 13"),
        ("steiner", {"num_workers": 9, "replication": 5}, "replication 3"),
        ("steiner", {"num_workers": 6 * 10**9 + 1}, "supported up to"),
        ("frc", {"num_workers": 16, "replication": 3}, "divides"),
        ("frc", {"num_workers": 15}, "needs"),
        ("baseline", {}, "number of workers"),
        ("baseline", {"num_workers": 0}, "at least 1"),
        ("baseline", {"num_workers": 10**10}, "supported up to"),
        ("frc", {"num_workers": 3 * 10**9, "replication": 3}, "supported up to"),
        ("cyclic", {"num_workers": 10**6, "replication": 10**6 - 1}, "supported up to"),
        ("mols", {"load": 1024, "replication": 1023}, "supported up to"),
        ("ramanujan1", {"load": 99999999977, "replication": 3}, "supported up to"),
        ("ramanujan2", {"m": 3 * 10**10, "replication": 3}, "supported up to"),
    ],
)
def test_impossible_sizes_get_one_clear_line(scheme: str, sizes: dict[str, Any], words: str) -> None:
    with pytest.raises(PlacementError, match=words) as caught:
        build(scheme, **sizes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files_of", "words"),
    [
        ([[0, 0], [1, 1]], "twice"),
        ([[0, 1], [1, 2]], "equally many"),
        ([[-1], [0]], "from 0"),
    ],
)
def test_lists_that_are_no_placement_are_refused(files_of: list[list[int]], words: str) -> None:
    with pytest.raises(PlacementError, match=words):
        Assignment(scheme="custom", files_of=np.array(files_of))


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("math:pi", "must be a function or a class"),
        ("json:loads", "missing a required argument"),
        ("argparse:Namespace", "must return an Assignment; got Namespace"),
        ("no_such_module:f", "cannot be imported"),
        (":f", "must be a registered name or module:attribute"),
    ],
)
def test_a_users_own_scheme_that_is_none_is_refused(scheme: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        build(scheme, num_workers=3)


def test_a_placement_too_large_to_be_analyzed_is_refused() -> None:
    large = build("baseline", num_workers=3_000)
    with pytest.raises(PlacementError, match="analyzed up to"):
        _ = large.shared


@pytest.mark.parametrize(("scheme", "sizes", "shared"), CASES)
def test_shared_counts_the_files_of_two_workers(scheme: str, sizes: dict[str, Any], shared: set[int]) -> None:
    assignment = build(scheme, **sizes)
    assert np.array_equal(assignment.shared, assignment.incidence @ assignment.incidence.T)


def test_ramanujan_placements_are_the_ones_of_the_block_matrix() -> None:
    # B has block (i, k) = P^(i k), where P^n has its ones at (t, (t + n) mod s).
    for s, m in [(5, 3), (7, 5), (3, 3), (3, 6), (5, 5)]:
        shift = np.roll(np.eye(s, dtype=int), 1, axis=1)
        blocks = np.block([[np.linalg.matrix_power(shift, i * k) for k in range(m)] for i in range(s)])
        if m < s:
            assert np.array_equal(build("ramanujan1", load=s, replication=m).incidence, blocks.T)
        else:
            assert np.array_equal(build("ramanujan2", m=m, replication=s).incidence, blocks)


def test_the_first_worker_of_mols_is_the_papers() -> None:
    # L_1(i, j) = i + j mod 5 = 0 at (0,0) (1,4) (2,3) (3,2) (4,1), by hand.
    assert build("mols", load=5, replication=3).files_of[0].tolist() == [0, 9, 13, 17, 21]


@pytest.mark.parametrize("threshold", [-1, 1, 4])
def test_less_than_a_majority_corrupts_no_file_and_more_than_all_copies_there_are_not(threshold: int) -> None:
    with pytest.raises(PlacementError, match=f"the threshold must be a majority of 3 copies; got {threshold}"):
        replace(build("mols", load=5, replication=3), threshold=threshold)
