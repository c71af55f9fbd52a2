"""Our rules give the published golden values, and every rule has one."""

import json
from pathlib import Path

import numpy as np
import pytest

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS

DOCUMENT = json.loads((Path(__file__).parents[2] / "golden" / "aggregation.json").read_text(encoding="utf-8"))
CASES = DOCUMENT["cases"]
KINDS = {"aggregator": AGGREGATORS, "pre-aggregator": PRE_AGGREGATORS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_registered_name_has_a_golden_value(kind):
    assert {case["name"] for case in CASES if case["kind"] == kind} == set(KINDS[kind].names())


@pytest.mark.parametrize("case", CASES, ids=[f"{case['name']}-{number}" for number, case in enumerate(CASES)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rule_gives_the_golden_value(case, dtype):
    operation = KINDS[case["kind"]].get(case["name"])(**case["parameters"])
    result = operation(np.array(case["input"], dtype))
    assert result.dtype == dtype
    expected = np.array(case["expected"])
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=case["tolerance"])
