"""Results on disk: found again, private to an assignment and q, and never trusted blindly."""

import json
import stat

import pytest

from byzshield.distortion import cache, worst_case
from byzshield.distortion.exact import search as exact_search
from byzshield.placement import Assignment, mols, ramanujan2
from byzshield.storage import cache_directory

ASSIGNMENT = ramanujan2(m=5, replication=5)
Q = 6  # C(25, 6) sets: the compiled search, hence the cache


def results():
    """Where proved results are kept."""
    return cache_directory() / "distortion"


def the_file():
    (path,) = results().iterdir()
    return path


def forbid_search(monkeypatch):
    monkeypatch.setattr(exact_search, "search", lambda *_: pytest.fail("searched again"))


def test_a_proved_result_is_found_again(monkeypatch):
    first = worst_case(ASSIGNMENT, num_byzantine=Q)
    assert first.c_max == 4
    forbid_search(monkeypatch)
    assert worst_case(ASSIGNMENT, num_byzantine=Q) == first
    renamed = Assignment(scheme="other", files_of=ASSIGNMENT.files_of)
    assert worst_case(renamed, num_byzantine=Q) == first


def test_another_q_or_another_assignment_is_searched():
    first = worst_case(ASSIGNMENT, num_byzantine=Q)
    assert worst_case(ASSIGNMENT, num_byzantine=Q + 1).c_max == 5
    doubled = ramanujan2(m=10, replication=5)
    assert worst_case(doubled, num_byzantine=Q).c_max == 2 * first.c_max
    assert len(list(results().iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: b"",
        lambda record: b"\xff\xfe\x00",
        lambda record: json.dumps(record).encode()[:-9],
        lambda record: b"[]",
        lambda record: b"null",
        lambda record: json.dumps(record | {"format": 99}).encode(),
        lambda record: json.dumps(record | {"num_byzantine": 5}).encode(),
        lambda record: json.dumps(record | {"c_max": 5}).encode(),
        lambda record: json.dumps(record | {"c_max": "4"}).encode(),
        lambda record: json.dumps(record | {"witness": [0, 1, 2, 3, 4, 5]}).encode(),
        lambda record: json.dumps(record | {"witness": record["witness"][::-1]}).encode(),
        lambda record: json.dumps(record | {"witness": record["witness"][:5]}).encode(),
        lambda record: json.dumps(record | {"witness": [*record["witness"][:5], 99]}).encode(),
        lambda record: json.dumps(record | {"witness": [*record["witness"][:5], -1]}).encode(),
        lambda record: json.dumps(record | {"witness": [*record["witness"][:5], "24"]}).encode(),
        lambda record: json.dumps({key: record[key] for key in record if key != "witness"}).encode(),
    ],
)
def test_a_damaged_file_is_ignored_and_replaced(damage):
    first = worst_case(ASSIGNMENT, num_byzantine=Q)
    path = the_file()
    sound = path.read_bytes()
    path.write_bytes(damage(json.loads(sound)))
    assert cache.load(ASSIGNMENT, Q) is None
    assert worst_case(ASSIGNMENT, num_byzantine=Q) == first
    assert the_file().read_bytes() == sound


def test_asking_for_no_cache_leaves_none():
    worst_case(ASSIGNMENT, num_byzantine=Q, use_cache=False)
    assert not results().exists()


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way of a directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert worst_case(ASSIGNMENT, num_byzantine=Q).c_max == 4


def test_results_that_are_not_proved_are_never_kept():
    large = mols(load=11, replication=7)
    cut = worst_case(large, num_byzantine=14, time_limit=0.1)
    assert not results().exists()
    with pytest.raises(ValueError, match="proved"):
        cache.store(large, cut)


def test_no_half_written_file_is_left_behind():
    worst_case(ASSIGNMENT, num_byzantine=Q)
    assert [path.suffix for path in results().iterdir()] == [".json"]
    assert stat.S_ISREG(the_file().stat().st_mode)


def test_a_relative_cache_home_is_ignored_as_the_specification_asks(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/path")
    assert cache_directory().is_absolute()
    assert cache_directory().parts[-2:] == (".cache", "byzshield")
