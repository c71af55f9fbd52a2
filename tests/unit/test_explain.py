"""Where an exception out of a user's own code is said to come from."""

from typing import Any

import pytest
import torch

from byzshield.errors import explain


def test_the_line_of_the_users_own_code_is_named_and_not_that_of_the_library_it_called() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.nn.Linear(2, 3)(torch.zeros(4))
    assert explain(failed.value).endswith(" (test_explain.py, line 13)")


def test_what_a_call_of_ours_has_wrong_has_no_place() -> None:
    wrong: Any = 5
    with pytest.raises(AttributeError) as failed:
        explain(wrong)
    assert failed.value.__traceback__ is not None
    ours = failed.value.with_traceback(failed.value.__traceback__.tb_next)
    assert explain(ours) == "AttributeError: 'int' object has no attribute '__traceback__'"
