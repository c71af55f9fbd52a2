"""The rule that a plan names: it is one that the run accepts."""

import pytest

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Pipeline
from byzshield.errors import TooFewRowsError
from byzshield.planning.rules import chain_for, most_wrong


@pytest.mark.parametrize("num_files", [1, 2, 3, 5, 24, 25])
def test_a_rule_is_named_as_long_as_it_accepts_the_worst_case(num_files):
    for num_corrupted in range(1, num_files + 1):
        named = chain_for(num_files, num_corrupted)
        pipeline = Pipeline(AGGREGATORS.get("median")(num_corrupted), [PRE_AGGREGATORS.get("nnm")(num_corrupted)])
        if named is None:
            with pytest.raises(TooFewRowsError):
                pipeline.check_rows(num_files)
        else:
            assert str(named) == "nnm+median"
            pipeline.check_rows(num_files)
            assert num_corrupted <= most_wrong(num_files, num_corrupted)


def test_where_no_file_can_be_wrong_the_mean_is_named_which_bears_none():
    assert str(chain_for(5, 0)) == "mean"
    assert most_wrong(5, 0) == 0
