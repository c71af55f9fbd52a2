"""The rows and the document of a distortion table."""

import json

import pytest

from byzshield.distortion import SearchInterrupted, WorstCase, table
from byzshield.distortion.table import document, rows
from byzshield.placement import baseline, mols, ramanujan2

ROW_KEYS = ["q", "c_max", "epsilon", "exact", "witness", "spectral_bound", "epsilon_baseline", "epsilon_frc"]


def test_the_document_is_the_interfaces():
    assignment = mols(load=7, replication=5)
    made = json.loads(json.dumps(document(assignment, rows(assignment, [3]))))
    assert made.pop("seconds") >= 0
    assert made == {
        "scheme": "mols",
        "num_workers": 35,
        "num_files": 49,
        "load": 7,
        "replication": 5,
        "rows": [
            {
                "q": 3,
                "c_max": 1,
                "epsilon": 0.0204,
                "exact": True,
                "witness": [0, 7, 14],
                "spectral_bound": 2.68,
                "epsilon_baseline": 0.0857,
                "epsilon_frc": 0.1429,
            }
        ],
    }
    assert list(made["rows"][0]) == ROW_KEYS


def test_a_row_that_is_not_exact_has_an_upper_bound():
    (row,) = rows(mols(load=11, replication=7), [14], time_limit=0.2)
    made = row.as_json()
    assert list(made) == [*ROW_KEYS, "upper_bound"]
    assert made["exact"] is False
    assert made["c_max"] < made["upper_bound"]


def test_without_redundancy_there_is_no_spectral_bound():
    assignment = baseline(num_workers=4)
    (row,) = rows(assignment, [2])
    assert row.as_json()["spectral_bound"] is None
    assert row.as_json()["epsilon_frc"] == row.as_json()["epsilon"] == 0.5


def test_each_row_uses_the_bound_of_the_row_before_but_only_of_its_neighbor(monkeypatch):
    asked = {}
    truth = {5: 2, 6: 4, 7: 5, 9: 9}

    def spy(assignment, *, num_byzantine, time_limit, at_most, use_cache):
        asked[num_byzantine] = at_most
        c_max = truth[num_byzantine]
        return WorstCase(num_byzantine=num_byzantine, c_max=c_max, epsilon=c_max / 25, exact=True, witness=(), upper_bound=c_max)

    monkeypatch.setattr(table, "worst_case", spy)
    list(rows(ramanujan2(m=5, replication=5), [5, 6, 7, 9]))
    assert asked[6] == 2 * 6 // 3
    assert asked[7] == 4 * 7 // 4
    # q = 9 has no neighbor: gamma = 13.27 is all that is known.
    assert asked[9] == 13


def test_rows_with_and_without_neighbors_are_the_same():
    assignment = ramanujan2(m=5, replication=5)
    together = [row.result for row in rows(assignment, range(3, 11), use_cache=False)]
    alone = [next(rows(assignment, [q], use_cache=False)).result for q in range(3, 11)]
    assert together == alone


def test_ctrl_c_ends_the_table_with_what_is_known(monkeypatch):
    known = WorstCase(num_byzantine=7, c_max=4, epsilon=4 / 25, exact=False, witness=tuple(range(7)), upper_bound=6)

    def stopped(*_, num_byzantine, **__):
        if num_byzantine == 7:
            raise SearchInterrupted(known)
        return WorstCase(num_byzantine=num_byzantine, c_max=1, epsilon=0.04, exact=True, witness=(), upper_bound=1)

    monkeypatch.setattr(table, "worst_case", stopped)
    found = list(rows(ramanujan2(m=5, replication=5), [6, 7, 8]))
    assert [(row.result.num_byzantine, row.interrupted) for row in found] == [(6, False), (7, True)]
    assert found[1].as_json()["upper_bound"] == 6


@pytest.mark.parametrize("q", [2, 3])
def test_seconds_are_those_of_the_row(q):
    (row,) = rows(mols(load=5, replication=3), [q])
    assert 0 <= row.seconds < 30
