"""Connections to hosts over ssh; paramiko is imported here alone.

A host is believed only if its key is the one in known_hosts, and is shown only the cluster's key: no agent, no other key, no
password.
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import io
import logging
import os
import socket
import sys
import threading
import warnings

import packages
import shell
from errors import OperationFailed, RequestError
from execution import SILENCE_SECONDS, ConnectionLost, Execution
from output import last_line, printable
from waiting import Deadline, clock

CONNECT_SECONDS = 20.0
MOST_BYTES = 1 << 24  # the longest answer of a host that is kept in memory
HEARTBEAT_SECONDS = 15.0

# Linux breaks a connection when what was sent is not acknowledged for so long; Python 2 lacks the name.
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18 if sys.platform.startswith("linux") else None)

_CHANGED = (
    "{}: the host at {} port {} does not have the key that {} names: another machine may have its address now, or someone else "
    "answers in its place; nothing was sent to it. If you know why, for example because the cluster was launched anew, `hosts` "
    "writes its keys again"
)
_UNKNOWN = (
    "{}: no key of {} port {} is in {}, so nobody can tell whether it is the host; nothing was sent to it. Use the machine that "
    "launched the cluster; there `hosts` writes that file again"
)

Node = collections.namedtuple("Node", "alias address port private_address instance_id")
Node.__new__.__defaults__ = (None,)


class Unreachable(OperationFailed):
    """No connection; another attempt may succeed."""


class LoginRefused(OperationFailed):
    """The host does not know the cluster's key (yet)."""


class HostKeyRefused(OperationFailed):
    """Whoever answers there is not known to be the host."""


class Access(object):
    """How this machine logs in to every host of a cluster.

    Args:
        user: the user's name on the hosts.
        key: path of the cluster's private key.
        known_hosts: path of the file with the keys of its hosts.

    Raises:
        RequestError: the key cannot be read, or others can read it, or write to the file with the hosts' keys.
    """

    def __init__(self, user, key, known_hosts):
        self.user, self.known_hosts, self._key_path = user, known_hosts, key
        _check_mode(key, 0o077, "others than its owner can read this key", "chmod 600")
        _check_mode(known_hosts, 0o022, "others than its owner can write to this list of host keys", "chmod go-w")
        self._paramiko = _load_paramiko()
        try:
            self._key = self._paramiko.Ed25519Key(filename=key)
        except (IOError, OSError, ValueError, self._paramiko.SSHException) as error:
            raise RequestError("{}: no cluster key to log in with ({}); `launch` makes it".format(key, _reason(error)))

    def known_hosts_content(self):
        """What hosts need to know each other, too: the bytes of known_hosts."""
        try:
            with io.open(self.known_hosts, "rb") as stream:
                return stream.read()
        except (IOError, OSError) as error:
            raise RequestError("{}: {}; `hosts` writes it".format(self.known_hosts, error.strerror))

    def connect(self, node, seconds=CONNECT_SECONDS):
        """A Connection.

        Raises:
            Unreachable, LoginRefused, HostKeyRefused.
        """
        paramiko = self._paramiko
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_RefuseUnknown())
        try:
            self._load_known_hosts(client)
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
            return Connection(node.alias, client, (paramiko.SSHException, socket.error, EOFError))
        except paramiko.BadHostKeyException:
            refused = _CHANGED
        except _UnknownHostKey:
            refused = _UNKNOWN
        except paramiko.AuthenticationException as error:
            client.close()
            # paramiko reports a host that goes away during the login as a refusal, too.
            if any(word in _reason(error) for word in ("timeout", "EOF")):
                raise Unreachable(self._unreachable(node, error))
            line = "{}: {} does not let {} in with {}; is ssh_user right for its image?"
            raise LoginRefused(line.format(node.alias, node.address, self.user, self._key_path))
        except RequestError:
            client.close()
            raise
        except Exception as error:  # noqa: BLE001 paramiko passes on whatever the other end's bytes lead to in its own code
            client.close()
            raise Unreachable(self._unreachable(node, error))
        client.close()
        raise HostKeyRefused(refused.format(node.alias, node.address, node.port, self.known_hosts))

    def _load_known_hosts(self, client):
        try:
            client.load_host_keys(self.known_hosts)
        except (IOError, OSError):
            pass  # then every host is unknown
        except (self._paramiko.SSHException, ValueError, AttributeError) as error:
            line = "{}: not a list of host keys ({}); `hosts` writes it again"
            raise RequestError(line.format(self.known_hosts, _reason(error)))

    @staticmethod
    def _unreachable(node, error):
        return "{}: no ssh at {} port {}: {}; is the instance running, and does ssh_from admit this machine?".format(
            node.alias, node.address, node.port, _reason(error)
        )


class Connection(object):
    """An open connection to one host; a context manager that closes it."""

    def __init__(self, alias, client, errors):
        self.alias, self._client, self.transport, self.errors = alias, client, client.get_transport(), errors
        self.answered = clock()
        self._deadline = None
        self._closed = threading.Event()
        self._heartbeat = threading.Thread(target=self._beat)
        self._heartbeat.daemon = True
        self._heartbeat.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed.set()
        self._client.close()
        self._heartbeat.join(1.0)  # Python 2 complains about a thread that outlives the program

    def limit(self, seconds):
        """From now on, all commands together have so many seconds."""
        self._deadline = Deadline(seconds)

    def start(self, command, seconds, send=None, slowest=None):
        """Starts a command of bash, and returns its Execution.

        Args:
            seconds: its deadline; None for none. It ends with the connection in any case.
            send: blocks of bytes for its standard input.
            slowest: bytes a second that the command must print while they are waited for; None if it may be silent.

        Raises:
            ConnectionLost.
        """
        if self._deadline is not None:
            left = max(1.0, self._deadline.remaining())
            seconds = left if seconds is None else min(seconds, left)
        silent = threading.Timer(CONNECT_SECONDS, self._client.close)  # paramiko waits for this answer without end
        silent.daemon = True
        silent.start()
        try:
            channel = self.transport.open_session(timeout=CONNECT_SECONDS)
            channel.exec_command(shell.within(seconds, command, send is not None))
        except Exception as error:  # noqa: BLE001 as in connect
            raise ConnectionLost("{}: the connection broke ({})".format(self.alias, _reason(error)))
        finally:
            silent.cancel()
        return Execution(self, channel, seconds, send, slowest)

    def output(self, command, seconds, send=None):
        """What the command prints on standard output.

        Raises:
            OperationFailed: its exit status is not 0; quotes what it last said. Or it prints more than MOST_BYTES.
            ConnectionLost, DeadlinePassed.
        """
        execution = self.start(command, seconds, send)
        blocks, size = {False: [], True: []}, 0
        for is_error, block in execution:
            blocks[is_error].append(block)
            size += len(block)
            if size > MOST_BYTES:
                raise OperationFailed("{}: its answer has more than {} MiB".format(self.alias, MOST_BYTES >> 20))
        if execution.status != 0:
            raise OperationFailed("{}: {}".format(self.alias, last_line(b"".join(blocks[True]), execution.status)))
        return b"".join(blocks[False])

    def _beat(self):
        while not self._closed.is_set():
            try:
                self.transport.global_request("keepalive@openssh.com", wait=True)
            except self.errors:
                return
            if not self.transport.is_active():
                return
            self.answered = clock()
            self._closed.wait(HEARTBEAT_SECONDS)


class _UnknownHostKey(Exception):
    pass


class _RefuseUnknown(object):
    """A missing-host-key policy of paramiko."""

    def missing_host_key(self, client, hostname, key):
        raise _UnknownHostKey()


def _open_socket(node, seconds):
    connection = socket.create_connection((node.address, node.port), seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _USER_TIMEOUT is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(1000 * SILENCE_SECONDS))
    return connection


def _reason(error):
    if isinstance(error, socket.timeout):
        return "no answer"
    return printable(getattr(error, "strerror", None) or "{}".format(error)) or type(error).__name__


def _check_mode(path, forbidden, what, cure):
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # whoever reads it says so
    if mode & forbidden:
        raise RequestError("{}: {} (mode {:03o}); `{} {}`".format(path, what, mode & 0o777, cure, shell.quote(path)))


def _load_paramiko():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's warning that it drops Python 2, which the user has chosen
        paramiko = packages.load("paramiko")
    # paramiko raises what it logs.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    return paramiko
