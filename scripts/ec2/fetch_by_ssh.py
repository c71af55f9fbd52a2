"""fetch through the ssh program in place of paramiko, for scripts/fetch_results.sh; Python 2.7 or 3.

    python scripts/ec2/fetch_by_ssh.py ALIAS FOLDER OUTPUT [NAME ...] -- SSH_WORD ...

Brings FOLDER/NAME (none: all of FOLDER) to OUTPUT, as `fetch` of the launcher does. The words of ssh end with the host's address;
the command that it shall run there is put behind them.
"""

from __future__ import absolute_import, print_function, unicode_literals

import errno
import fcntl
import os
import select
import socket
import subprocess
import sys

import console
from errors import LauncherError
from execution import BLOCK
from fetch import fetch
from remote import Connection
from results import report
from tree import text
from waiting import progress

LIST_SECONDS = 600.0


class Ssh(object):
    """What remote.Connection needs of a client and of its transport; each session is a process of ssh."""

    def __init__(self, words):
        self._words, self._channels = words, []

    def get_transport(self):
        return self

    def open_session(self, timeout):
        self._channels.append(_Channel(self._words))
        return self._channels[-1]

    def global_request(self, kind, wait):
        """ssh itself asks whether the host is still there (ServerAliveInterval)."""

    def is_active(self):
        return True

    def close(self):
        for channel in self._channels:
            channel.close()


class _Channel(object):
    """What execution.Execution needs of a channel."""

    def __init__(self, words):
        self._words, self._process = words, None
        self._blocks = {}  # what has been read of a stream and not been taken yet; None after its end
        self.closed = False

    def exec_command(self, command):
        pipe = subprocess.PIPE
        words = [word.encode("utf-8") for word in self._words + [command]]
        self._process = subprocess.Popen(words, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            fcntl.fcntl(stream, fcntl.F_SETFL, fcntl.fcntl(stream, fcntl.F_GETFL) | os.O_NONBLOCK)
        self._blocks = {self._process.stdout: b"", self._process.stderr: b""}

    def recv_ready(self):
        return self._ready(self._process.stdout)

    def recv(self, size):
        return self._take(self._process.stdout)

    def recv_stderr_ready(self):
        return self._ready(self._process.stderr)

    def recv_stderr(self, size):
        return self._take(self._process.stderr)

    def send_ready(self):
        return bool(select.select([], [self._process.stdin], [], 0)[1])

    def send(self, block):
        try:
            return os.write(self._process.stdin.fileno(), block)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return 0
            raise socket.error(error.errno, error.strerror)

    def shutdown_write(self):
        self._process.stdin.close()

    @property
    def eof_received(self):
        return set(self._blocks.values()) == {None}

    def exit_status_ready(self):
        return self._process.poll() is not None

    @property
    def exit_status(self):
        """As a shell has it: 128 and the signal's number if ssh was killed."""
        return self._process.returncode if self._process.returncode >= 0 else 128 - self._process.returncode

    def close(self):
        if not self.closed and self._process is not None:
            self.closed = True
            if self._process.poll() is None:
                self._process.terminate()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                stream.close()
            self._process.wait()

    def _ready(self, stream):
        if self._blocks[stream] == b"":
            try:
                self._blocks[stream] = os.read(stream.fileno(), BLOCK) or None
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
        return bool(self._blocks[stream])

    def _take(self, stream):
        block, self._blocks[stream] = self._blocks[stream], b""
        return block


def main(words):
    """Runs one command line; returns its exit status."""
    at = words.index("--")
    alias, folder, output = words[:3]
    came = set()

    def on_file(name):
        came.add(name)
        print(text(name))

    try:
        with Connection(alias, Ssh(words[at + 1 :]), (EnvironmentError,)) as connection:
            fetched = fetch(connection, folder, words[3:at], output, LIST_SECONDS, on_file)
        return report(fetched, came, output)
    except LauncherError as error:
        progress("fetch_results: {}".format(error.args[0]))
        return error.status
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    console.use_utf8()
    sys.exit(main(console.words_of(sys.argv[1:])))
