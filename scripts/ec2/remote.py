"""Connections to hosts over ssh; the one door to paramiko.

A host is believed only if its key is the one in known_hosts, and is shown only the cluster's key: no agent, no other key, no password.
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import logging
import socket
import threading
import time
import warnings

import shell
from errors import OperationFailed, RequestError
from waiting import clock, progress

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # cryptography's farewell to Python 2 is not for the user
    import paramiko

# Whatever paramiko has to say comes as an exception, too.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_SECONDS = 20.0
HEARTBEAT_SECONDS = 15.0
SILENCE_SECONDS = 60.0  # a host that has not answered for so long is gone
LONGEST_PAUSE = 10.0  # between two attempts to connect
BLOCK = 1 << 15

# The kernel's word for the same, where it has one: what is sent and never acknowledged breaks the connection.
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18 if hasattr(socket, "SO_PASSCRED") else None)  # Linux; Python 2 lacks the name

Node = collections.namedtuple("Node", "alias address port private_address")


class Unreachable(OperationFailed):
    """No connection; another attempt may succeed."""


class ConnectionLost(OperationFailed):
    """The connection broke while a command ran."""


class LoginRefused(OperationFailed):
    """The host does not know the cluster's key (yet)."""


class HostKeyRefused(OperationFailed):
    """Whoever answers there is not known to be the host."""


class DeadlinePassed(OperationFailed):
    """The command did not end in time, and was ended."""


class Access(object):
    """How this machine logs in to every host of a cluster.

    Args:
        user: the user's name on the hosts.
        key: path of the cluster's private key.
        known_hosts: path of the file with the keys of its hosts.

    Raises:
        RequestError: the key cannot be read.
    """

    def __init__(self, user, key, known_hosts):
        self.user, self.known_hosts, self._key_path = user, known_hosts, key
        try:
            self._key = paramiko.Ed25519Key(filename=key)
        except (IOError, OSError, ValueError, paramiko.SSHException) as error:
            raise RequestError("{}: no cluster key to log in with ({}); `launch` makes it".format(key, _reason(error)))

    def connect(self, node, seconds=CONNECT_SECONDS):
        """A Connection.

        Raises:
            Unreachable, LoginRefused, HostKeyRefused.
        """
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_RefuseUnknown())
        try:
            _load_known_hosts(client, self.known_hosts)
            client.connect(
                node.address,
                port=node.port,
                username=self.user,
                pkey=self._key,
                sock=_open_socket(node, seconds),
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
                allow_agent=False,
                look_for_keys=False,
            )
            return Connection(node.alias, client)
        except paramiko.BadHostKeyException:
            refused = (
                "{}: the host at {} port {} does not have the key that {} names: another machine may have its address now, or someone "
                "answers in its place; nothing was sent to it. Do not connect until you know why; if the cluster was launched anew, "
                "`hosts` writes its keys again"
            )
        except _UnknownHostKey:
            refused = (
                "{}: no key of {} port {} is in {}, so nobody can tell whether it is the host; nothing was sent to it. Use the machine that "
                "launched the cluster; there `hosts` writes that file again"
            )
        except paramiko.AuthenticationException as error:
            transport = client.get_transport()
            client.close()
            if "timeout" in _reason(error).lower() or transport is None or "EOF" in _reason(error):
                raise Unreachable(self._unreachable(node, error))
            raise LoginRefused(
                "{}: {} does not let {} in with {}; is ssh_user right for its image?".format(
                    node.alias, node.address, self.user, self._key_path
                )
            )
        except (paramiko.SSHException, socket.error, EOFError) as error:
            client.close()
            raise Unreachable(self._unreachable(node, error))
        client.close()
        raise HostKeyRefused(refused.format(node.alias, node.address, node.port, self.known_hosts))

    def wait(self, node, deadline, login_seconds=0.0):
        """A Connection to a host that may still be booting.

        Args:
            deadline: a waiting.Deadline until which refused and timed-out connections are tried again.
            login_seconds: for so long after ssh first answers, a refused key is tried again: cloud-init installs it late.

        Raises:
            Unreachable, LoginRefused, HostKeyRefused.
        """
        pause, answered_at, said = 1.0, None, None
        while True:
            try:
                return self.connect(node, max(1.0, min(CONNECT_SECONDS, deadline.remaining())))
            except Unreachable as error:
                if deadline.passed():
                    raise Unreachable("{} (for {:.0f} s)".format(error, deadline.seconds))
                reason = "waiting for ssh"
            except LoginRefused:
                answered_at = answered_at or clock()
                if deadline.passed() or clock() - answered_at >= login_seconds:
                    raise
                reason = "ssh answers; waiting for the key to be installed"
            if reason != said:
                progress("{}: {}".format(node.alias, reason))
                said = reason
            time.sleep(min(pause, deadline.remaining()))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @staticmethod
    def _unreachable(node, error):
        return "{}: no ssh at {} port {}: {}; is the instance running, and does ssh_from admit this machine?".format(
            node.alias, node.address, node.port, _reason(error)
        )


class Connection(object):
    """An open connection to one host; a context manager that closes it."""

    def __init__(self, alias, client):
        self.alias, self._client, self.transport = alias, client, client.get_transport()
        self.answered = clock()
        self._closed = threading.Event()
        heart = threading.Thread(target=self._beat)
        heart.daemon = True
        heart.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed.set()
        self._client.close()

    def start(self, command, seconds, send=None):
        """Starts a command of bash, and returns its Execution.

        Args:
            seconds: its deadline; None for none. It ends with the connection in any case.
            send: blocks of bytes for its standard input.

        Raises:
            ConnectionLost.
        """
        try:
            channel = self.transport.open_session(timeout=CONNECT_SECONDS)
            channel.exec_command(shell.within(seconds, command, send is not None))
        except (paramiko.SSHException, socket.error, EOFError) as error:
            raise ConnectionLost("{}: the connection broke: {}".format(self.alias, _reason(error)))
        return Execution(self, channel, seconds, send)

    def output(self, command, seconds, send=None):
        """What the command prints on standard output.

        Raises:
            OperationFailed: its exit status is not 0; quotes what it last said.
            ConnectionLost, DeadlinePassed.
        """
        execution = self.start(command, seconds, send)
        blocks = {False: [], True: []}
        for is_error, block in execution:
            blocks[is_error].append(block)
        if execution.status != 0:
            raise OperationFailed("{}: {}".format(self.alias, last_line(b"".join(blocks[True]), execution.status)))
        return b"".join(blocks[False])

    def _beat(self):
        while not self._closed.is_set():
            try:
                self.transport.global_request("keepalive@openssh.com", wait=True)
            except (paramiko.SSHException, socket.error, EOFError):
                return
            if not self.transport.is_active():
                return
            self.answered = clock()
            self._closed.wait(HEARTBEAT_SECONDS)


class Execution(object):
    """A command that runs: iterate over (is standard error, bytes) to the end, then read `status`."""

    def __init__(self, connection, channel, seconds, send):
        self.status = None
        self._connection, self._channel, self._seconds = connection, channel, seconds
        self._blocks = None if send is None else iter(send)

    def __iter__(self):
        try:
            for piece in self._pump():
                yield piece
        finally:
            self._channel.close()

    def _pump(self):
        channel, started, pending, pause = self._channel, clock(), b"", 0.001
        moved_at, exited_at = started, None
        while True:
            # Asked before reading: what comes later than this is not there.
            ended = channel.closed or (channel.eof_received and channel.exit_status_ready())
            moved = False
            if channel.recv_ready():
                moved = True
                yield False, channel.recv(BLOCK)
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
                # The command has ended, but something that it left behind holds its output open.
                exited_at = exited_at or now
                if now - max(exited_at, moved_at) > 3.0:
                    break
            if self._seconds is not None and now - started > self._seconds + 2 * shell.KILL_AFTER:
                raise self._late()
            if now - max(moved_at, self._connection.answered) > SILENCE_SECONDS:
                self._connection.close()
                raise ConnectionLost("{}: no answer for {:.0f} s".format(self._connection.alias, SILENCE_SECONDS))
            if not moved:
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
            self._connection.transport.join(1.0)  # it lets channels know first that it is about to end
            if not self._connection.transport.is_active():
                raise ConnectionLost("{}: the connection broke".format(alias))
            raise OperationFailed("{}: the command was killed on the host".format(alias))
        if status in (124, 137) and self._seconds is not None and elapsed >= self._seconds:
            raise self._late()
        self.status = status

    def _late(self):
        return DeadlinePassed(
            "{}: the command did not end within {:.0f} s, and was ended; allow more with `deadlines` in the cluster's file".format(
                self._connection.alias, self._seconds
            )
        )


def last_line(output, status):
    """The last line of a command's complaint, fit for a terminal."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return "exit status {}".format(status)
    return "{} (exit status {})".format(printable(lines[-1].strip()[:500]), status)


def printable(text):
    """The text without characters that a terminal would obey."""
    return "".join(character if character >= " " and not "\x7f" <= character <= "\x9f" else "?" for character in text)


class _UnknownHostKey(Exception):
    pass


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client, hostname, key):
        raise _UnknownHostKey()


def _load_known_hosts(client, path):
    try:
        client.load_host_keys(path)
    except (IOError, OSError):
        pass  # then every host is unknown
    except (paramiko.SSHException, ValueError, AttributeError) as error:
        raise RequestError("{}: not a list of host keys ({}); `hosts` writes it again".format(path, _reason(error)))


def _open_socket(node, seconds):
    connection = socket.create_connection((node.address, node.port), seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _USER_TIMEOUT is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(1000 * SILENCE_SECONDS))
    return connection


def _reason(error):
    if isinstance(error, socket.timeout):
        return "no answer"
    return getattr(error, "strerror", None) or "{}".format(error) or type(error).__name__
