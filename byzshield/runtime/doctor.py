"""Is this machine, or are the machines of this MPI job, fit to train, and for a given run?"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from byzshield.errors import ConfigError, FrameError, HandshakeError
from byzshield.limits import FILES_A_RANK, GIB
from byzshield.runtime.backoff import Backoff
from byzshield.runtime.builder import Builder
from byzshield.runtime.handshake import facts
from byzshield.runtime.machine import machine_facts
from byzshield.runtime.memory import bytes_needed
from byzshield.transport import Endpoint
from byzshield.wire import SERVER_RANK, Acceptance, ArrayEncoder, Kind, Message, Packet, messages

__all__ = ["Finding", "answer_examination", "examine", "examine_ranks", "facts_of_rank"]

MUST_AGREE: Final = ("byzshield", "torch", "numpy", "threads", "instruction set", "configuration", "probe gradient")
SOFTWARE: Final = ("byzshield", "python", "torch", "numpy", "blosc", "mpi4py", "openmpi")
PROBE_ELEMENTS: Final = 1 << 20
PROBE: Final = Acceptance({Kind.PARAMETERS: 4 * PROBE_ELEMENTS, Kind.STOP: 0})
ROUND_TRIPS: Final = 3
UNDER_ULFM: Final = "is lost, and training goes on (--with-ft ulfm)"
WITHOUT_ULFM: Final = "ends the job, which --resume continues (mpirun --with-ft ulfm goes on without it)"
LEFT: Final = "an mpirun with that process id will not start: source scripts/lib/mpi_env.sh or set PRTE_MCA_pmix_tool_support=0"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Args:
        topic: what.
        value: what was found.
        problem: what is wrong with it and what to change; empty if nothing is.
    """

    topic: str
    value: str
    problem: str = ""


def facts_of_rank(builder: Builder | None, ranks_here: Iterable[int]) -> dict[str, Any]:
    """What a process tells of itself: its machine; for a run also what must be equal everywhere and the bytes that it needs.

    Args:
        builder: of the run; None if none is asked about.
        ranks_here: the ranks that it plays.

    Raises:
        RequestError: the run is impossible.
    """
    if builder is None:
        return machine_facts()
    builder.set_threads()
    own = facts(builder.config, builder.computer)
    before = builder.computer.seconds
    builder.computer(1, 0)
    return {
        **machine_facts(),
        **own,
        "gradient seconds": builder.computer.seconds - before,
        "needs": sum(bytes_needed(builder, rank) for rank in ranks_here),
    }


def examine(of_ranks: Mapping[int, dict[str, Any]], builder: Builder | None) -> Iterator[Finding]:
    """Judges what processes told of themselves.

    Args:
        of_ranks: `facts_of_rank` of each rank that answered, rank 0 among them; without MPI of that alone.
        builder: of the run; None if none is asked about.
    """
    first = of_ranks[SERVER_RANK]
    yield Finding(topic="software", value=", ".join(f"{name} {first[name]}" for name in SOFTWARE if name in first))
    yield Finding(topic="processor", value=f"{first['processor']}, {first['instruction set']}, {first['cores']} cores")
    yield Finding(topic="GPUs", value=str(first["gpus"]))
    if builder is not None:
        yield from _run(builder)
        yield Finding(topic="gradient", value=f"{first['gradient seconds']:.3g} s a file")
    if len(of_ranks) > 1:
        yield from _agreement(of_ranks)
        yield Finding(topic="a rank that dies", value=UNDER_ULFM if first["survives"] else WITHOUT_ULFM)
        yield _descriptors(first, len(of_ranks))
    yield from _memory(of_ranks.values(), for_run=builder is not None)
    if left := first["left by mpirun"]:
        more = f" and {len(left) - 1} like it" if len(left) > 1 else ""
        yield Finding(topic="left by mpirun", value=f"{left[0]}{more}; {LEFT}")


def examine_ranks(endpoint: Endpoint, own: dict[str, Any], *, timeout: float) -> tuple[dict[int, dict[str, Any]], list[Finding]]:
    """At rank 0 of an MPI job: asks every other rank what it is, and how fast its link is.

    Returns:
        what the ranks that answered told of themselves, and what was found on the way.
    """
    told, silent = {SERVER_RANK: own}, set(range(1, endpoint.size))
    accepts = messages.accepted_on_arrival()
    for packet in _packets(endpoint, accepts.message_bytes, timeout=timeout):
        with suppress(FrameError):
            told[packet.source] = messages.read_greeting(accepts.open(packet))
            silent.discard(packet.source)
        if not silent:
            break
    problem = f"it told nothing within {timeout:g} s; see its own messages"
    findings = [Finding(topic=f"rank {rank}", value="silent", problem=problem) for rank in sorted(silent)]
    speeds = {rank: _bandwidth(endpoint, rank, timeout=timeout) for rank in sorted(told) if rank != SERVER_RANK}
    if speeds:
        slowest = min(speeds, key=lambda rank: speeds[rank])
        value = f"median {median(speeds.values()) / 1e9:.3g} GB/s, slowest {speeds[slowest] / 1e9:.3g} GB/s (rank {slowest})"
        findings.append(Finding(topic="bandwidth", value=value))
    for rank in range(1, endpoint.size):
        endpoint.send(messages.stop().to(rank))
    return dict(sorted(told.items())), findings


def answer_examination(endpoint: Endpoint, own: dict[str, Any], *, timeout: float) -> None:
    """At the other ranks: tells rank 0, and sends back what it sends until it says stop.

    Raises:
        HandshakeError: rank 0 is silent for too long.
    """
    endpoint.send(messages.hello(0, own).to(SERVER_RANK))
    while (packet := _next_of(endpoint, SERVER_RANK, timeout=timeout)) is not None:
        if PROBE.open(packet).kind is Kind.STOP:
            return
        assert packet.data is not None
        endpoint.send(Message(rank=SERVER_RANK, tag=packet.tag, data=bytes(packet.data)))
    raise HandshakeError(f"rank 0 has said nothing for {timeout:g} s")


def _packets(endpoint: Endpoint, bounds: Mapping[int, int], *, timeout: float) -> Iterator[Packet]:
    """What arrives within so many seconds, from whomever."""
    ends, backoff = time.monotonic() + timeout, Backoff()
    while time.monotonic() < ends:
        packet = endpoint.receive(bounds)
        if packet is None:
            backoff.wait()
            continue
        backoff.reset()
        yield packet


def _next_of(endpoint: Endpoint, rank: int, *, timeout: float) -> Packet | None:
    """The next message of a rank; None if none comes within so many seconds."""
    return next((packet for packet in _packets(endpoint, PROBE.message_bytes, timeout=timeout) if packet.source == rank), None)


def _bandwidth(endpoint: Endpoint, rank: int, *, timeout: float) -> float:
    """Bytes a second to a rank and back, the best of a few round trips; 0 if it does not answer."""
    best = 0.0
    for trip in range(ROUND_TRIPS):
        began = time.perf_counter()
        endpoint.send(messages.parameters(trip, np.zeros(PROBE_ELEMENTS, dtype=np.float32), ArrayEncoder("off")).to(rank))
        if _next_of(endpoint, rank, timeout=timeout) is None:
            return 0.0
        best = max(best, 2 * 4 * PROBE_ELEMENTS / (time.perf_counter() - began))
    return best


def _run(builder: Builder) -> Iterator[Finding]:
    assignment, config = builder.assignment, builder.config
    sizes = f"{assignment.num_workers} workers, {assignment.num_files} files, {builder.computer.num_parameters:,} parameters"
    yield Finding(topic="run", value=f"{config.placement.scheme}, {sizes}")
    if config.attack.num_byzantine:
        worst = builder.worst_case
        value = f"{worst.num_byzantine} Byzantine workers corrupt at most {worst.upper_bound} files"
    else:
        value = "no Byzantine workers are expected (attack.num_byzantine = 0)"
    try:
        builder.pipeline()
    except ConfigError as error:
        yield Finding(topic="rule", value=value, problem=str(error))
    else:
        yield Finding(topic="rule", value=f"{config.aggregation.rule}: {value}")
    yield _folder(Path(config.run.output_dir).expanduser())


def _folder(folder: Path) -> Finding:
    standing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    problem = (
        ""
        if standing.is_dir() and os.access(standing, os.W_OK)
        else "run.output_dir cannot be written: change it, or the folder's owner"
    )
    return Finding(topic="results", value=str(folder), problem=problem)


def _agreement(of_ranks: Mapping[int, dict[str, Any]]) -> Iterator[Finding]:
    """Whether honest copies of a gradient will be equal bit for bit."""
    first, num_hosts = of_ranks[SERVER_RANK], len({_host(told) for told in of_ranks.values()})
    yield Finding(topic="ranks", value=f"{len(of_ranks)} on {num_hosts} host{'s' if num_hosts > 1 else ''}")
    for rank, told in of_ranks.items():
        differing = [
            f"{key} {str(told.get(key))[:40]!r} instead of {str(first[key])[:40]!r}"
            for key in MUST_AGREE
            if key in first and told.get(key) != first[key]
        ]
        if "error" in told:
            yield Finding(topic=f"rank {rank}", value=_host(told), problem=str(told["error"])[:500])
        elif differing:
            problem = f"it would lose every vote: {'; '.join(differing)}; use equal hosts, versions and run files"
            yield Finding(topic=f"rank {rank}", value=_host(told), problem=problem)


def _descriptors(first: dict[str, Any], num_ranks: int) -> Finding:
    needed, limit = FILES_A_RANK * num_ranks, first["open files"]
    problem = f"the server needs about {needed}: raise the limit with ulimit -Hn {needed}" if 0 <= limit < needed else ""
    return Finding(topic="open files", value="no limit" if limit < 0 else str(limit), problem=problem)


def _memory(of_ranks: Iterable[dict[str, Any]], *, for_run: bool) -> Iterator[Finding]:
    """Whether what all processes of a host still need fits into what it has."""
    by_host: dict[str, list[dict[str, Any]]] = {}
    for told in of_ranks:
        by_host.setdefault(_host(told), []).append(told)
    for host, here in by_host.items():
        free = here[0].get("memory")
        needs = sum(told["needs"] for told in here if isinstance(told.get("needs"), int))
        if not isinstance(free, int):
            yield Finding(topic="memory", value=f"unknown on {host}")
        elif not for_run:
            yield Finding(topic="memory", value=f"{free / GIB:.1f} GiB free on {host}")
        else:
            problem = "take fewer ranks a host, a smaller model, a placement with fewer files, or a larger host"
            value = f"{free / GIB:.1f} GiB free on {host}; a step takes {needs / GIB:.2f} GiB"
            yield Finding(topic="memory", value=value, problem=problem if needs > free else "")


def _host(told: dict[str, Any]) -> str:
    return str(told.get("host"))[:80]
