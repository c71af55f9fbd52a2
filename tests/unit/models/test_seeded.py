"""What happens to torch's generators while a network computes with a seed of its own."""

import traceback
from typing import Any, NoReturn

import pytest
import torch

from byzshield.models import seeded

CPU = torch.device("cpu")


def test_the_block_draws_what_manual_seed_would_and_leaves_no_trace() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with seeded(5, CPU):
        assert torch.equal(torch.rand(4), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_device_that_is_not_used_costs_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise AssertionError("a call was queued for a device, with the stack trace of whoever made it")

    monkeypatch.setattr(traceback, "format_stack", refuse)
    with seeded(5, CPU):
        torch.rand(1)
    if not torch.cuda.is_initialized():
        with pytest.raises(AssertionError, match="queued"):  # so this test can fail
            torch.manual_seed(5)
