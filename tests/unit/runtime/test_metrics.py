"""Lines of metrics.jsonl are whole or absent."""

import resource
from pathlib import Path

import pytest

from byzshield.errors import StorageError
from byzshield.runtime.metrics import MetricsLog, read_metrics


def test_a_line_without_room_leaves_the_lines_before_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.write({"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, hard))
    try:
        with pytest.raises(StorageError, match=r"metrics\.jsonl cannot be written: File too large"):
            log.write({"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == '{"step": 1}\n'
    assert log.last_step == 1
    log.write({"step": 2})
    log.close()
    assert read_metrics(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("damage", [b"\xff\xfe", b'{"step": ', b"7", b"null", b'{"loss": 1}', b'{"step": "2"}', b"[" * 100_000])
def test_damaged_lines_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + damage + b'\n{"step": 3}\n')
    assert read_metrics(path) == [{"step": 1}, {"step": 3}]
    MetricsLog(path, resumed_at=3).close()
    assert ("lines [2] cannot be read, and are left out" in caplog.text) == (
        not damage.startswith(b'{"loss') and b'"2"' not in damage
    )
    assert read_metrics(tmp_path / "missing.jsonl") == []
