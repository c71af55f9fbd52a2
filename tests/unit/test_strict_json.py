"""JSON without what no other program can read."""

import json
import math

import pytest

from byzshield.strict_json import dumps


def strict(text: str) -> object:
    """Parses as programs do that know no NaN."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_what_is_not_finite_is_null_at_any_depth() -> None:
    value = {"loss": math.nan, "rows": [{"lr": math.inf}, (1.5, -math.inf)], "step": 3, "ok": True, "name": "inf"}
    assert strict(dumps(value)) == {"loss": None, "rows": [{"lr": None}, [1.5, None]], "step": 3, "ok": True, "name": "inf"}
