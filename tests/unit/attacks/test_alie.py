"""A Little Is Enough, forged by blocks of columns."""

import numpy as np
import pytest

from byzshield.attacks import ALIE, Situation, alie


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 10, 16, 17, 18])
def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(alie, "BLOCK", 8)
    gradients = np.random.default_rng(size).standard_normal((25, size + 1))[:, :size]  # float64, which shows each rounding
    whole = gradients.mean(axis=0) - 1.5 * gradients.std(axis=0)
    situation = Situation(step=1, num_rows=25, num_corrupted=3, rng=np.random.default_rng(0))
    assert ALIE(z=1.5).forge(gradients, situation).tobytes() == whole.tobytes()
