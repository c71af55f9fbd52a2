"""Measures steps of real mpirun jobs over a link of a given rate and delay: each exchange with compression auto, on and off.

    python benchmarks/bench_network.py [--preset smoke|lenet] [--rate 1gbit] [--delay-ms 5] [--json]

The server is in one network namespace and all workers in another, as on two hosts, so that the server's link is what is measured.
Rates are kept by the kernel (tbf) in both namespaces, and the delay, half of it each way, by netem. Where there is no netem, the
two namespaces are connected by two TUN devices, and a process of its own passes each IP packet on after the delay; packets
are then as long as TUN allows, since that process could not pass on as many short ones. Needs root. Nothing else should run.
"""

import argparse
import heapq
import json
import os
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any

from byzshield.config import dump, from_table
from byzshield.runtime.compression_trial import ORDER
from byzshield.runtime.metrics import read_metrics

REPOSITORY = Path(__file__).parent.parent
MPIRUN = Path(sys.executable).parent / "mpirun"
SERVER, WORKERS = "10.78.0.1", "10.78.0.2"
WARM_UP = 2 + len(ORDER)  # steps that do not count: in the first ones "auto" tries
TUN_DEVICE, TUN_WITHOUT_HEADER = 0x400454CA, 0x0001 | 0x1000  # TUNSETIFF; IFF_TUN | IFF_NO_PI
LONGEST_PACKET = 65_000
LENET = {"model": {"name": "lenet"}, "data": {"name": "mnist5k", "batch_size": 250}}
TINY = {"model": {"name": "mlp", "hidden": [64]}, "data": {"name": "mnist5k", "batch_size": 250}}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"tables": TINY, "steps": WARM_UP + 4, "workers_ranks": 2},
    "lenet": {"tables": LENET, "steps": WARM_UP + 30, "workers_ranks": 3},
}


def main() -> None:
    """Runs a preset and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke")
    parser.add_argument("--rate", default="1gbit", help="of the link each way, as tc writes it (default: 1gbit)")
    parser.add_argument("--delay-ms", type=float, default=5.0, help="of a round trip (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    chosen, rows = PRESETS[arguments.preset], []
    with tempfile.TemporaryDirectory() as folder, _link(arguments.rate, arguments.delay_ms / 1000) as link:
        for exchange in ("digest", "full"):
            for compression in ("off", "on", "auto"):
                rows.append(_job(chosen, exchange, compression, link, Path(folder)))
                print(f"{exchange}, {compression}: {rows[-1]['seconds']:.3f} s", file=sys.stderr, flush=True)
        document = {
            "preset": arguments.preset,
            "rate": arguments.rate,
            "delay_ms": arguments.delay_ms,
            "delayed_by": link["delayed_by"],
            "round_trip_ms": link["round_trip_ms"],
            "load_at_the_end": os.getloadavg()[0],
            "rows": rows,
        }
    print(json.dumps(document) if arguments.json else _table(document))


def _job(chosen: dict[str, Any], exchange: str, compression: str, link: dict[str, Any], folder: Path) -> dict[str, Any]:
    config = from_table(
        {
            "run": {"name": "network", "steps": chosen["steps"], "output_dir": str(folder)},
            "placement": {"scheme": "mols", "load": 5, "replication": 3},
            "aggregation": {"rule": "median"},
            "cluster": {"exchange": exchange, "compression": compression},
            **chosen["tables"],
        }
    )
    run_file, results = folder / "run.toml", folder / "network"
    run_file.write_text(dump(config))
    shutil.rmtree(results, ignore_errors=True)
    hosts = f"{SERVER}:1,{WORKERS}:{chosen['workers_ranks']}"
    options = ["--mca", "pml", "ob1", "--mca", "btl", "self,tcp,sm", "--map-by", "slot:OVERSUBSCRIBE", "--bind-to", "none"]
    options += ["--prtemca", "plm_ssh_agent", str(link["agent"]), "--prtemca", "plm_ssh_no_tree_spawn", "1"]
    train = [sys.executable, "-m", "mpi4py", "-m", "byzshield", "train", str(run_file)]
    command = [str(MPIRUN), *options, "--host", hosts, "-n", str(1 + chosen["workers_ranks"]), *train]
    shell = f". '{REPOSITORY / 'scripts' / 'lib' / 'mpi_env.sh'}' && exec \"$@\""
    words = ["ip", "netns", "exec", link["server"], "bash", "-c", shell, "bash", *command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"the job failed: {done.stderr}")
    lines = read_metrics(results / "metrics.jsonl")[WARM_UP:]
    parts = lines[0]["breakdown"]
    return {
        "exchange": exchange,
        "compression": compression,
        "seconds": statistics.median(line["seconds"] for line in lines),
        "bytes_received": statistics.median(line["bytes_received"] for line in lines),
        "bytes_sent": statistics.median(line["bytes_sent"] for line in lines),
        "breakdown": {part: statistics.median(line["breakdown"][part] for line in lines) for part in parts},
    }


@contextmanager
def _link(rate: str, delay: float) -> Iterator[dict[str, Any]]:
    """Two network namespaces and what is between them; yields their names, an agent for mpirun, and what they are like."""
    tag = f"bn{uuid.uuid4().hex[:6]}"
    server, workers = f"{tag}-server", f"{tag}-workers"
    relay, folder = None, Path(tempfile.mkdtemp())
    try:
        for netns in (server, workers):
            _ip("netns", "add", netns)
            _ip("-n", netns, "link", "set", "lo", "up")
        if delayed_by_kernel := _has_netem(server):
            _ip("link", "add", "eth0", "netns", server, "type", "veth", "peer", "name", "eth0", "netns", workers)
        else:
            relay = _relay(server, workers, delay / 2)
        for netns, address in ((server, SERVER), (workers, WORKERS)):
            _ip("-n", netns, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", netns, "link", "set", "eth0", "up", *([] if delayed_by_kernel else ["mtu", str(LONGEST_PACKET)]))
            tc = ["ip", "netns", "exec", netns, "tc", "qdisc", "add", "dev", "eth0"]
            subprocess.run([*tc, "root", "handle", "1:", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms"], check=True)
            if delayed_by_kernel:
                subprocess.run([*tc, "parent", "1:", "netem", "limit", "10000", "delay", f"{500 * delay}ms"], check=True)
        agent = folder / "agent"
        agent.write_text(f'#!/bin/sh\nshift\nexec ip netns exec {workers} unshare --uts sh -c "hostname {workers}; $*"\n')
        agent.chmod(0o755)
        ping = ["ip", "netns", "exec", server, sys.executable, "-c", PING, WORKERS]
        listening = subprocess.Popen(["ip", "netns", "exec", workers, sys.executable, "-c", ECHO, WORKERS])
        round_trip = float(subprocess.run(ping, check=True, capture_output=True, text=True).stdout)
        listening.wait()
        yield {
            "server": server,
            "agent": agent,
            "delayed_by": "netem" if delayed_by_kernel else "a relay of IP packets (this kernel has no netem)",
            "round_trip_ms": round(1000 * round_trip, 2),
        }
    finally:
        if relay:
            os.kill(relay, 9)
            os.waitpid(relay, 0)
        for netns in (server, workers):
            subprocess.run(["ip", "netns", "del", netns], check=False)
        shutil.rmtree(folder)


ECHO = """
import socket, sys
with socket.create_server((sys.argv[1], 7007)) as listening:
    connection, _ = listening.accept()
    while data := connection.recv(1): connection.sendall(data)
"""
PING = """
import socket, statistics, sys, time
for _ in range(200):
    try: connection = socket.create_connection((sys.argv[1], 7007)); break
    except OSError: time.sleep(0.05)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
seconds = []
for _ in range(50):
    began = time.perf_counter(); connection.sendall(b"x"); connection.recv(1); seconds.append(time.perf_counter() - began)
print(statistics.median(seconds))
"""


def _has_netem(netns: str) -> bool:
    tried = ["ip", "netns", "exec", netns, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    if subprocess.run(tried, capture_output=True).returncode:
        return False
    subprocess.run(["ip", "netns", "exec", netns, "tc", "qdisc", "del", "dev", "lo", "root"], check=True)
    return True


def _relay(first: str, second: str, delay: float) -> int:
    """Connects two namespaces by TUN devices; the process that is returned passes on each packet after so many seconds."""
    ends = [_tun(netns) for netns in (first, second)]
    if (process := os.fork()) == 0:
        _pass_on(ends, delay)
    for end in ends:
        os.close(end)
    return process


def _tun(netns: str) -> int:
    """The other end of a new device eth0 in a namespace."""
    here, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{netns}", os.O_RDONLY)
    os.setns(there) if hasattr(os, "setns") else _setns(there)
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    ioctl(end, TUN_DEVICE, struct.pack("16sH14x", b"eth0", TUN_WITHOUT_HEADER))
    os.setns(here) if hasattr(os, "setns") else _setns(here)
    for descriptor in (here, there):
        os.close(descriptor)
    return end


def _setns(descriptor: int) -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns")


def _pass_on(ends: list[int], delay: float) -> None:
    poll, late = select.poll(), list[tuple[float, int, int, bytes]]()
    for end in ends:
        poll.register(end, select.POLLIN)
    count = 0
    while True:
        wait = None if not late else max(0.0, 1000 * (late[0][0] - time.monotonic()))
        for end, _ in poll.poll(wait):
            try:
                while packet := os.read(end, LONGEST_PACKET + 100):
                    count += 1
                    heapq.heappush(late, (time.monotonic() + delay, count, ends[end == ends[0]], packet))
            except (BlockingIOError, OSError):  # nothing more, or the device is not up yet
                continue
        while late and late[0][0] <= time.monotonic():
            _, _, end, packet = heapq.heappop(late)
            try:
                os.write(end, packet)
            except OSError:  # what a full queue drops, TCP sends again
                continue


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _table(document: dict[str, Any]) -> str:
    parts = list(document["rows"][0]["breakdown"])
    cells = [["exchange", "compression", "s a step", "MB received", "MB sent", *parts]]
    for row in document["rows"]:
        numbers = [f"{row['seconds']:.3f}", f"{row['bytes_received'] / 1e6:.1f}", f"{row['bytes_sent'] / 1e6:.1f}"]
        cells.append([row["exchange"], row["compression"], *numbers, *(f"{row['breakdown'][part]:.3f}" for part in parts)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    head = f"{document['rate']}, {document['round_trip_ms']} ms a round trip, delayed by {document['delayed_by']}"
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()
