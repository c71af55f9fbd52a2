"""A file of events for TensorBoard: the numbers of each line of metrics.jsonl, by their names there.

The format is TFRecord, whose records are protocol buffers `Event`; of these we write a time, a step and numbers. It is written
here because a record must be whole or absent on a full disk, and because a resumed run takes back steps that it does again: the
writers that TensorBoard and its relatives bring append from a thread of their own, and can do neither.

Reference: TensorFlow's core/lib/io/record_writer.h, core/util/event.proto and core/framework/summary.proto. CRC-32C is that of
RFC 3720, appendix B.4.
"""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from byzshield.runtime.writers.writer import Line, numbers_of
from byzshield.storage import RecordFile, named_errors

__all__ = ["EventFile", "stored_events"]

PATTERN: Final = "events.out.tfevents.*"  # by which TensorBoard knows its files
VERSION: Final = b"brain.Event:2"
LARGEST: Final = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]  # float32
# The first byte of a field is its number times 8, plus 0 for a varint, 1 for 8 bytes, 2 for a length and bytes, 5 for 4 bytes.
WALL_TIME, STEP, FILE_VERSION, SUMMARY = b"\x09", b"\x10", b"\x1a", b"\x2a"  # of Event
VALUE, TAG, SIMPLE_VALUE = b"\x0a", b"\x0a", b"\x15"  # of Summary, and of its Value
EVENT_HEAD: Final = struct.Struct("<cdc")  # of our events: the wall time, then the step


class EventFile:
    """One event a line, in a new file each time that a run goes on, since TensorBoard may still have the old one open.

    Events that are there already keep their time; those of steps that the run does again are gone.

    Args:
        folder: the folder of the file, made if missing; older files in it are replaced.
        lines: those that the run goes on from.
        clock: the time of day in seconds.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, folder: Path, lines: Sequence[Line], *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        path = folder / f"events.out.tfevents.{clock():.0f}.{socket.gethostname()}.{os.getpid()}"
        with named_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
            old = sorted(folder.glob(PATTERN))
            stored = {step: record for file in old for step, record in stored_events(file.read_bytes())}
        head = _record(WALL_TIME + struct.pack("<d", clock()) + FILE_VERSION + _sized(VERSION))
        self._file = RecordFile(path, head + b"".join(stored.get(line["step"]) or self._event(line) for line in lines))
        self._written = len(lines)
        with named_errors(path):
            for file in old:
                if file != path:
                    file.unlink(missing_ok=True)

    def write(self, lines: Sequence[Line], *, ended: bool = False) -> None:
        """Appends the events of the lines that are new."""
        for line in lines[self._written :]:
            self._file.append(self._event(line))
            self._written += 1

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _event(self, line: Line) -> bytes:
        numbers = {name: float(value) for name, value in numbers_of(line).items() if name != "step"}
        values = b"".join(
            VALUE + _sized(TAG + _sized(name.encode()) + SIMPLE_VALUE + struct.pack("<f", min(max(number, -LARGEST), LARGEST)))
            for name, number in numbers.items()
        )
        return _record(EVENT_HEAD.pack(WALL_TIME, self._clock(), STEP) + _varint(line["step"]) + SUMMARY + _sized(values))


def stored_events(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(step, record) of the events in a file that an `EventFile` has written, up to where it is cut short or damaged."""
    start = 0
    while start + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        record = content[start : start + length + 16]
        data = record[12:-4]
        if record != _record(data):
            return
        start += len(record)
        if data[EVENT_HEAD.size - 1 : EVENT_HEAD.size] == STEP:
            step, shift = 0, 0
            for byte in data[EVENT_HEAD.size :]:
                step |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            yield step, record


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked_crc(length) + data + _masked_crc(data)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    parts = []
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc_table() -> list[int]:
    """The CRC of each byte, of the polynomial of Castagnoli, bits reversed."""
    table = list(range(256))
    for _ in range(8):
        table = [entry >> 1 ^ (0x82F63B78 if entry & 1 else 0) for entry in table]
    return table


CRC_TABLE: Final = _crc_table()
