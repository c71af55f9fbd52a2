"""Workers that differ from the server are named before training starts."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from byzshield.config import RunConfig
from byzshield.errors import HandshakeError
from byzshield.runtime import handshake
from byzshield.runtime.builder import Builder
from byzshield.runtime.machine import software_facts
from byzshield.transport import in_process
from byzshield.transport.in_process import InProcessEndpoint
from byzshield.wire import SERVER_RANK, Kind, Message, messages

OWN = {"torch": "2.14", "threads": 1, "configuration": "00" * 32, "probe gradient": "ab" * 32}


def greet(endpoints: list[InProcessEndpoint], greetings: dict[int, Any], timeout: float = 0.05) -> dict[int, str]:
    for rank, greeting in greetings.items():
        data = greeting if isinstance(greeting, bytes) else messages.hello(rank - 1, greeting).encoded
        endpoints[rank].send(Message(rank=SERVER_RANK, tag=Kind.HELLO, data=data))
    return handshake.greet_workers(endpoints[0], [1, 2, 3, 4, 5], OWN, welcome={"witness": [1]}, timeout=timeout)


def test_equal_workers_pass_without_a_word() -> None:
    assert greet(in_process(6), dict.fromkeys(range(1, 6), OWN)) == {}


def test_those_that_differ_hang_or_send_garbage_are_named() -> None:
    greetings: dict[int, Any] = {1: OWN, 2: OWN, 3: OWN, 4: {**OWN, "torch": "1.0", "threads": 4}}
    assert greet(in_process(6), greetings) == {
        4: "torch '1.0' instead of '2.14'; threads 4 instead of 1; install the same versions on all hosts",
        5: "no greeting within 0.05 s",
    }
    assert set(greet(in_process(6), {**greetings, 4: OWN, 5: b"garbage"})) == {5}
    assert set(greet(in_process(6), {**greetings, 4: OWN, 5: b"x" * 10**6})) == {5}
    assert set(greet(in_process(6), {**greetings, 4: OWN, 5: messages.hello(4, ["no object"]).encoded})) == {5}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("differing", "said"),
    [
        (
            {"torch": "1.0", "probe gradient": "cd"},
            "will lose every vote: torch '1.0' instead of '2.14'; another probe gradient; install the same versions on all hosts",
        ),
        ({"torch": "1.0"}, "may lose every vote: torch '1.0' instead of '2.14'; install the same versions on all hosts"),
        ({"configuration": "0f"}, "may lose every vote: another configuration; start all ranks with the same run file"),
        (
            {"probe gradient": "cd"},
            "will lose every vote: another probe gradient; use hosts with the same kind of processor, and data that all read "
            "alike and in the same order",
        ),
    ],
)
def test_a_line_says_which_host_differs_in_what_and_what_to_change(
    differing: dict[str, str], said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("byzshield"), "propagate", True)  # the command line may have ended that
    greet(in_process(6), dict.fromkeys((1, 3, 4), OWN) | {rank: {**OWN, **differing, "host": "worker2"} for rank in (2, 5)})
    assert set(caplog.messages) == {f"ranks 2, 5 on 'worker2' {said}"}


def test_the_versions_on_which_the_bits_depend_are_compared(tiny_run: Callable[..., RunConfig]) -> None:
    builder = Builder(tiny_run())
    own = handshake.facts(builder.config, builder.computer)
    found = software_facts()
    assert {name: own[name] for name in ("byzshield", "torch", "numpy")} == {
        name: found[name] for name in ("byzshield", "torch", "numpy")
    }


def test_a_server_that_differs_from_most_gives_up() -> None:
    with pytest.raises(HandshakeError, match=r"3 of 5 ranks differ from the server; rank 3 on 'b': threads 4 instead of 1"):
        greet(in_process(6), {1: OWN, 2: OWN} | {key: {**OWN, "host": "b", "threads": 4} for key in (3, 4, 5)})


def test_a_worker_gets_the_welcome_and_believes_only_rank_0() -> None:
    server, honest, liar = in_process(3)
    liar.send(messages.welcome({"witness": [9]}).to(1))
    server.send(messages.welcome({"witness": [1]}).to(1))
    assert handshake.greet_server(honest, 0, lambda: OWN, timeout=1.0) == {"witness": [1]}
    packet = server.receive(dict.fromkeys(Kind, 10_000))
    assert packet is not None
    greeting = messages.read_greeting(messages.accepted_on_arrival().open(packet))
    assert greeting == {**OWN, "host": socket.gethostname()}


def test_a_worker_gives_up_on_a_silent_server() -> None:
    _, worker = in_process(2)
    with pytest.raises(HandshakeError, match="no welcome within"):
        handshake.greet_server(worker, 0, lambda: OWN, timeout=0.02)
