"""A user's own assignment from a file."""

import json

import numpy as np
import pytest

from byzshield.errors import PlacementError
from byzshield.placement import build, cyclic, mols


@pytest.mark.parametrize("form", ["files_of", "incidence", "npy", "npy of booleans"])
def test_every_form_gives_the_assignment_back(form, tmp_path):
    original = mols(load=4, replication=3)
    path = tmp_path / ("placement.npy" if form.startswith("npy") else "placement.json")
    if form.startswith("npy"):
        np.save(path, original.incidence.astype(bool) if "booleans" in form else original.incidence)
    else:
        path.write_text(json.dumps({form: getattr(original, form).tolist()}))
    read = build("custom", path=str(path))
    assert np.array_equal(read.files_of, original.files_of)
    assert read.scheme == "custom"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[[0], [1]]", "files_of"),
        ('{"files_of": 3}', "one list for each worker"),
        ('{"files_of": []}', "one list for each worker"),
        ('{"files_of": [[0, 1], [1]]}', "equally long; got 1 to 2"),
        ('{"files_of": [["0"], ["1"]]}', "integers"),
        ('{"files_of": [[0.5], [1.5]]}', "integers"),
        ('{"files_of": [[true], [false]]}', "integers"),
        ('{"files_of": [[99999999999], [1]]}', "integers"),
        ('{"files_of": [[0], [2]]}', "numbered from 0 without gaps; got file 2"),
        ('{"files_of": [[0], [2000000000]]}', "numbered from 0 without gaps"),
        ('{"files_of": [[0, 1], [0, 2], [0, 3]]}', "equally many workers"),
        ("[" * 100_000, "cannot be read"),
        ('{"incidence": [[1, 2], [0, 1]]}', "0 and 1"),
        ('{"incidence": [[1, 1], [0, 1]]}', "equally many files"),
        ('{"incidence": [[1, 0], [1, 0]]}', "column of zeros"),
    ],
)
def test_files_that_are_no_placement_are_refused_in_one_line(text, words, tmp_path):
    path = tmp_path / "placement.json"
    path.write_text(text)
    with pytest.raises(PlacementError, match=words) as caught:
        build("custom", path=str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_pickled_objects_is_never_opened(tmp_path):
    path = tmp_path / "placement.npy"
    np.save(path, np.array([[cyclic]]), allow_pickle=True)
    with pytest.raises(PlacementError, match="cannot be read"):
        build("custom", path=str(path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01",
        b"PK\x03\x04 an archive of arrays",
        # A header of 8 TB, and no data: it must be refused before memory is asked for.
        b"\x93NUMPY\x01\x00\x76\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 10), }".ljust(117)
        + b"\n",
    ],
    ids=["empty", "cut", "archive", "too large"],
)
def test_a_damaged_npy_file_is_refused(content, tmp_path):
    path = tmp_path / "placement.npy"
    path.write_bytes(content)
    with pytest.raises(PlacementError, match="cannot be read"):
        build("custom", path=str(path))
