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
        ('{"files_of": [[0], [2]]}', "equally many workers"),
        ('{"files_of": [[0], [0]]}', "odd"),
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


def test_a_file_of_pickled_objects_is_never_opened(tmp_path):
    path = tmp_path / "placement.npy"
    np.save(path, np.array([[cyclic]]), allow_pickle=True)
    with pytest.raises(PlacementError, match="cannot be read"):
        build("custom", path=str(path))


def test_a_damaged_npy_file_is_refused(tmp_path):
    path = tmp_path / "placement.npy"
    path.write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(PlacementError, match="cannot be read"):
        build("custom", path=str(path))
