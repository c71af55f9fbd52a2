"""A command that runs on a host: its output as it comes, its input, and its end, also when the connection breaks."""

from __future__ import absolute_import, print_function, unicode_literals

import socket
import time

import shell
from errors import OperationFailed
from waiting import clock

SILENCE_SECONDS = 60.0  # a host that has not answered for so long is gone
LEFT_BEHIND_SECONDS = 3.0  # for so long a command's output is read after its end, if something else holds it open
BLOCK = 1 << 15


class ConnectionLost(OperationFailed):
    """The connection broke while a command ran."""


class DeadlinePassed(OperationFailed):
    """The command did not end in time, and was ended."""


class Execution(object):
    """A command that runs: iterate over (is standard error, bytes) to the end, then read `status`."""

    def __init__(self, connection, channel, seconds, send, slowest):
        self.status = None
        self._connection, self._channel, self._seconds, self._slowest = connection, channel, seconds, slowest
        self._blocks = None if send is None else iter(send)

    def __iter__(self):
        try:
            for piece in self._pump():
                yield piece
        except self._connection.errors:
            raise self._lost()
        finally:
            try:
                self._channel.close()
            except self._connection.errors:
                pass  # it was closed already

    def _pump(self):
        channel, started, pending, pause = self._channel, clock(), b"", 0.001
        moved_at, exited_at, waited, came = started, None, 0.0, 0
        while True:
            # Asked before reading: once the command has ended, one more read gets all that is left.
            ended = channel.closed or (channel.eof_received and channel.exit_status_ready())
            moved = False
            if channel.recv_ready():
                moved, block = True, channel.recv(BLOCK)
                came += len(block)
                yield False, block
            if channel.recv_stderr_ready():
                moved = True
                yield True, channel.recv_stderr(BLOCK)
            if self._blocks is not None and not ended and channel.send_ready():
                moved = True
                pending = self._send(pending or next(self._blocks, None))
            now = clock()
            if moved:
                moved_at, pause = now, 0.001
            elif ended:
                break
            elif channel.exit_status_ready():
                exited_at = exited_at or now
                if now - max(exited_at, moved_at) > LEFT_BEHIND_SECONDS:
                    break
            if self._seconds is not None and now - started > self._seconds + 2 * shell.KILL_AFTER:
                raise self._late()
            if now - max(moved_at, self._connection.answered) > SILENCE_SECONDS:
                self._connection.close()
                raise ConnectionLost("{}: no answer for {:.0f} s".format(self._connection.alias, SILENCE_SECONDS))
            if waited > SILENCE_SECONDS and self._slowest is not None:
                if came < waited * self._slowest:
                    raise self._slow(came / waited)
                waited, came = 0.0, 0
            if not moved:
                waited += pause
                time.sleep(pause)
                pause = min(2 * pause, 0.1 if self._blocks is None else 0.01)
        self._finish(clock() - started)

    def _send(self, block):
        """What is left of the block; at the end of all blocks, ends the command's standard input."""
        try:
            if block is None:
                self._blocks = None
                self._channel.shutdown_write()
                return b""
            return block[self._channel.send(block) :]
        except socket.error:  # the command reads no more; its exit status says why
            self._blocks = None
            return b""

    def _finish(self, elapsed):
        status = self._channel.exit_status
        alias = self._connection.alias
        if status < 0:
            self._connection.transport.join(1.0)  # channels are told of the connection's end before it is
            if not self._connection.transport.is_active():
                raise self._lost()
            raise OperationFailed("{}: the command was killed on the host".format(alias))
        if status in (124, 137) and self._seconds is not None and elapsed >= self._seconds:
            raise self._late()
        self.status = status

    def _lost(self):
        return ConnectionLost("{}: the connection broke".format(self._connection.alias))

    def _slow(self, speed):
        line = "{}: it sends {:.0f} bytes a second, and has to send {:.0f}; it was given up"
        return DeadlinePassed(line.format(self._connection.alias, speed, self._slowest))

    def _late(self):
        line = "{}: the command did not end within {:.0f} s, and was ended; see deadlines in the cluster's file"
        return DeadlinePassed(line.format(self._connection.alias, self._seconds))
