"""Before training: does every worker run the same software, configuration and arithmetic as the server?"""

import socket
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch

import byzshield
from byzshield.config import RunConfig, configuration_hash
from byzshield.errors import FrameError, HandshakeError
from byzshield.log import get_logger
from byzshield.runtime.backoff import Backoff
from byzshield.seeding import generator
from byzshield.training import GradientComputer
from byzshield.transport import Endpoint
from byzshield.wire import SERVER_RANK, digest, messages

__all__ = ["facts", "greet_server", "greet_workers"]

LOG = get_logger(__name__)
MOST_MESSAGES: Final = 1024  # from one rank before training
MOST_BYTES: Final = 64 << 20
PROBE_SCALE: Final = np.float32(0.02)  # of the probe's parameters
OTHER_GRADIENT: Final = "another probe gradient"
DIGESTS: Final = {"configuration": "another configuration", "probe gradient": OTHER_GRADIENT}
SAME_VERSIONS: Final = "install the same versions on all hosts"
SAME_RUN_FILE: Final = "start all ranks with the same run file"
CURES: Final = {  # what a fact says is often the reason for what those after it say
    "byzshield": SAME_VERSIONS,
    "torch": SAME_VERSIONS,
    "numpy": SAME_VERSIONS,
    "threads": SAME_RUN_FILE,
    "configuration": SAME_RUN_FILE,
    "probe gradient": "use hosts with the same kind of processor, and data that all read alike and in the same order",
}


def facts(config: RunConfig, computer: GradientComputer) -> dict[str, Any]:
    """What must be equal in all processes; the last one is the digest of a probe gradient that each computes itself.

    It is taken at parameters that are drawn here: those that a model begins with come from the server, and where a Python
    program has made the model itself, they may be other ones in each process.
    """
    drawn = generator(config.run.seed, "probe").standard_normal(computer.num_parameters, dtype=np.float32)
    computer.load(PROBE_SCALE * drawn)
    return {
        "byzshield": byzshield.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "configuration": configuration_hash(config),
        "probe gradient": digest(computer(1, 0)).hex(),
    }


def greet_workers(
    endpoint: Endpoint, ranks: list[int], own: dict[str, Any], *, welcome: dict[str, Any], timeout: float
) -> dict[int, str]:
    """At the server: sends every rank its welcome, awaits all greetings, and compares them with its own facts.

    Returns:
        for each rank that differs or is silent, what is wrong with it.

    Raises:
        HandshakeError: more than half of the ranks differ or are silent, so it is the server that differs.
    """
    news = messages.welcome(welcome)
    for rank in ranks:
        endpoint.grant(rank, MOST_MESSAGES, MOST_BYTES)
        endpoint.send(news.to(rank))
    waiting, wrong, hosts = set(ranks), dict[int, str](), dict[int, str]()
    accepts = messages.accepted_on_arrival()
    ends = time.monotonic() + timeout
    backoff = Backoff()
    while waiting and time.monotonic() < ends:
        waiting -= endpoint.lost().keys()
        packet = endpoint.receive(accepts.message_bytes)
        if packet is None:
            backoff.wait()
            continue
        backoff.reset()
        waiting.discard(packet.source)
        try:
            theirs = messages.read_greeting(accepts.open(packet))
        except FrameError as error:
            wrong[packet.source] = str(error)
            continue
        if reason := _difference(own, theirs):
            wrong[packet.source], hosts[packet.source] = reason, f" on {theirs.get('host')!r:.80}"
    wrong |= dict.fromkeys(sorted(waiting), f"no greeting within {timeout:g} s")
    _warn(wrong, hosts)
    if 2 * len(wrong) > len(ranks):
        first = min(wrong)
        said = f"rank {first}{hosts.get(first, '')}: {wrong[first]}"
        raise HandshakeError(f"{len(wrong)} of {len(ranks)} ranks differ from the server; {said}")
    return wrong


def _difference(own: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What a rank tells otherwise than the server, and what to change; empty if nothing."""
    said = {key: f"{key} {theirs.get(key)!r:.80} instead of {value!r}" for key, value in own.items() if theirs.get(key) != value}
    said |= {key: words for key, words in DIGESTS.items() if key in said}
    return f"{'; '.join(said.values())}; {CURES[next(iter(said))]}" if said else ""


def _warn(wrong: dict[int, str], hosts: dict[int, str]) -> None:
    """A line for all ranks of a host with which the same is wrong."""
    alike: dict[tuple[str, str], list[str]] = {}
    for rank, reason in sorted(wrong.items()):
        alike.setdefault((hosts.get(rank, ""), reason), []).append(str(rank))
    for (host, reason), ranks in alike.items():
        will = "will" if OTHER_GRADIENT in reason else "may"
        LOG.warning("rank%s %s%s %s lose every vote: %s", "s" * (len(ranks) > 1), ", ".join(ranks), host, will, reason)


def greet_server(endpoint: Endpoint, worker: int, own: Callable[[], dict[str, Any]], *, timeout: float) -> dict[str, Any]:
    """At a worker's rank: sends the greeting and returns the server's welcome.

    Raises:
        HandshakeError: the server stays silent.
    """
    endpoint.send(messages.hello(worker, {"host": socket.gethostname(), **own()}).to(SERVER_RANK))
    accepts = messages.accepted_as_welcome()
    ends = time.monotonic() + timeout
    backoff = Backoff()
    while time.monotonic() < ends:
        packet = endpoint.receive(accepts.message_bytes)
        if packet is not None and packet.source == SERVER_RANK and packet.data is not None:
            return messages.read_greeting(accepts.open(packet))
        backoff.wait()
    raise HandshakeError(f"the server sent no welcome within {timeout:g} s")
