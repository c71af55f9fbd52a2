"""The cyclic code: by hand for four workers, and its promises up to K = 45."""

import numpy as np
import pytest

from byzshield.coding import CyclicCode
from byzshield.errors import ParameterError
from byzshield.placement import cyclic

SIZES = [(3, 1), (4, 1), (5, 2), (9, 0), (15, 2), (15, 5), (25, 5), (44, 10), (45, 5), (45, 15), (45, 22)]


def test_four_workers_by_hand() -> None:
    # K = 4, s = 1: the frequencies 0 and 1, of which 0 carries the sum. The coefficient of worker w for file j is
    # 1 - (-i)^(w - j - 1), which vanishes for w = j + 1, the one worker that does not hold it.
    matrix = CyclicCode(num_workers=4, num_errors=1).matrix
    assert np.allclose(matrix[0], [1 - 1j, 2, 1 + 1j, 0])
    assert np.allclose(matrix[3], [2, 1 + 1j, 0, 1 - 1j])


def test_three_workers_of_which_one_lies_all_send_the_sum() -> None:
    assert np.allclose(CyclicCode(num_workers=3, num_errors=1).matrix, 1)


@pytest.mark.parametrize(("num_workers", "num_errors"), SIZES)
def test_workers_combine_just_the_files_that_they_hold(num_workers: int, num_errors: int) -> None:
    code = CyclicCode(num_workers=num_workers, num_errors=num_errors)
    incidence = cyclic(num_workers=num_workers, replication=2 * num_errors + 1).incidence
    assert np.array_equal(np.abs(code.matrix) > 1e-9, incidence == 1)
    assert np.abs(code.matrix).max() < 20


@pytest.mark.parametrize(("num_workers", "num_errors"), SIZES)
def test_honest_rows_have_no_syndrome_and_carry_the_sum(num_workers: int, num_errors: int) -> None:
    code = CyclicCode(num_workers=num_workers, num_errors=num_errors)
    assert np.abs(code.checks.conj().T @ code.matrix).max(initial=0) < 1e-12
    assert np.allclose(code.weights(range(num_workers)) @ code.matrix, 1, atol=1e-12)


@pytest.mark.parametrize(("num_workers", "num_errors"), [(5, 2), (9, 3), (15, 5), (25, 5)])
def test_any_k_minus_2s_rows_suffice(num_workers: int, num_errors: int) -> None:
    code = CyclicCode(num_workers=num_workers, num_errors=num_errors)
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows = sorted(rng.choice(num_workers, num_workers - 2 * num_errors, replace=False).tolist())
        assert np.allclose(code.weights(rows) @ code.matrix[rows], 1, atol=1e-8)


def test_what_a_worker_sends_is_its_row_of_the_matrix() -> None:
    code = CyclicCode(num_workers=7, num_errors=2)
    gradients = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    for worker, files in enumerate(cyclic(num_workers=7, replication=5).files_of.tolist()):
        sent = code.encode(worker, [gradients[file] for file in files])
        assert np.allclose(sent, code.matrix[worker] @ gradients, atol=1e-12)


@pytest.mark.parametrize(("num_workers", "num_errors"), [(4, 2), (3, -1), (0, 0)])
def test_too_many_errors_are_refused(num_workers: int, num_errors: int) -> None:
    with pytest.raises(ParameterError, match="2 s \\+ 1 workers"):
        CyclicCode(num_workers=num_workers, num_errors=num_errors)
