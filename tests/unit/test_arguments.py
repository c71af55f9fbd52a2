"""Arguments of another kind than a public function takes are named in one line, whichever function it is."""

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import byzshield as bz
from byzshield.arguments import checked
from byzshield.errors import ParameterError, RequestError

ROWS = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
WRONG = [None, "5", 2.5, True, -1, math.nan, math.inf, torch.ones(2), torch.tensor(3), [1], {}, object(), np.zeros(2), int]
PLACEMENTS: dict[str, dict[str, Any]] = {
    "aspis": {"num_workers": 6, "replication": 3},
    "baseline": {"num_workers": 5},
    "cyclic": {"num_workers": 5, "replication": 3},
    "frc": {"num_workers": 6, "replication": 3},
    "mols": {"load": 5, "replication": 3},
    "ramanujan1": {"load": 5, "replication": 3},
    "ramanujan2": {"m": 5, "replication": 5},
    "steiner": {"num_workers": 7},
    "worst_case": {"assignment": bz.mols(5, 3), "num_byzantine": 3},
    "plan": {"workers": 15, "byzantine": 2},
}
OPERATIONS = [name for name in bz.__all__ if hasattr(getattr(bz, name), "against") and name != "Pipeline"]
ATTACKS = [name for name in bz.__all__ if hasattr(getattr(bz, name), "forge")]


def refused_or_answered(call: Callable[[], Any]) -> None:
    """Fails by whatever else than a refusal comes out."""
    with suppress(RequestError):
        call()


@pytest.mark.parametrize("name", [*PLACEMENTS, *OPERATIONS, *ATTACKS])
def test_no_argument_of_a_public_function_is_answered_by_an_error_of_python(name: str) -> None:
    function = getattr(bz, name)
    sound = PLACEMENTS.get(name) or ({"num_corrupted": 2} if name in OPERATIONS else {})
    for parameter in inspect.signature(function).parameters:
        for wrong in WRONG:
            made = {**sound, parameter: wrong}
            refused_or_answered(lambda made=made: function(**made) if name in PLACEMENTS else function(**made)(ROWS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bz.worst_case(5, 3), "assignment must be an Assignment; got 5"),  # type: ignore[arg-type]
        (lambda: bz.mols("5", 3), "load must be a whole number; got '5'"),  # type: ignore[arg-type]
        (lambda: bz.worst_case(bz.mols(5, 3), True), "num_byzantine must be a whole number; got True"),
        (lambda: bz.plan(15, 2.0), "byzantine must be a whole number; got 2.0"),  # type: ignore[arg-type]
        (lambda: bz.Median(num_corrupted=True), "num_corrupted must be a whole number; got True"),
        (lambda: bz.ReversedGradient(scale="1.5"), "scale must be a number; got '1.5'"),  # type: ignore[arg-type]
        (lambda: bz.ALIE()(ROWS, num_corrupted=2.5), "num_corrupted must be a whole number; got 2.5"),  # type: ignore[arg-type]
        (lambda: bz.Pipeline("median"), "rule must be an Aggregator; got 'median'"),  # type: ignore[arg-type]
        (lambda: bz.Bucketed(2, inner=3), "inner must be text; got 3"),  # type: ignore[arg-type]
    ],
)
def test_a_refusal_says_what_is_wanted_and_what_came(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ParameterError) as refused:
        call()
    assert str(refused.value) == message


def test_numbers_of_numpy_are_numbers() -> None:
    three = np.int64(3)
    assert np.array_equal(bz.mols(np.int32(5), three).files_of, bz.mols(5, 3).files_of)  # type: ignore[arg-type]
    assert bz.worst_case(bz.mols(5, 3), three).c_max == bz.worst_case(bz.mols(5, 3), 3).c_max  # type: ignore[arg-type]
    assert repr(bz.TrimmedMean(three)) == "TrimmedMean(num_corrupted=3)"  # type: ignore[arg-type]
    assert repr(bz.ALIE(z=np.float32(1.5))) == repr(bz.ALIE(z=1.5))  # type: ignore[arg-type]


def test_what_an_annotation_does_not_tell_is_left_to_the_function() -> None:
    @checked
    def function(path: str | Path, number: float = 1.0, *rest: int, flag: bool = False, rows: Any = None, **more: int) -> Any:
        return path, number, rest, flag, rows, more

    assert function(Path("x"), 2, "3", flag=np.bool_(True), rows="r", more="m") == (  # type: ignore[arg-type]
        Path("x"), 2, ("3",), True, "r", {"more": "m"},
    )  # fmt: skip
    assert function("x", Fraction(1, 2))[1] == 0.5  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="path must be text or a Path; got 3"):
        function(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="flag must be true or false; got 1"):
        function("x", flag=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        function()  # type: ignore[call-arg]
    assert list(inspect.signature(function).parameters) == ["path", "number", "rest", "flag", "rows", "more"]
