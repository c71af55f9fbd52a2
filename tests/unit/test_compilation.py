"""Compiled functions: what they are asked of numba, and where no folder can be written."""

import numba

from byzshield.compilation import compiled


def test_options_reach_numba_and_the_code_is_kept_and_runs_without_the_lock(monkeypatch):
    asked = {}
    monkeypatch.setattr(numba, "njit", lambda **options: asked.update(options) or (lambda function: function))
    assert compiled(len, fastmath={"contract"}) is len
    assert asked == {"cache": True, "nogil": True, "fastmath": {"contract"}}


def test_functions_compile_where_no_folder_can_be_written(monkeypatch):
    asked = []

    def njit(*, nogil, cache=False, fastmath):
        asked.append((nogil, cache, fastmath))
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(len, fastmath=True) is len
    assert asked == [(True, True, True), (True, False, True)]
