"""Measures where the start of a job goes, in CPU seconds a rank, and what one import for all ranks of a host would save.

    python benchmarks/bench_start.py [--ranks 16] [RUN.toml] [--json]

Three jobs that train nothing: each rank goes through the phases of `byzshield train` up to its greeting; each rank imports torch
and starts MPI; and one process a host imports torch and forks a rank for each process that mpirun has started, which hands over
its environment and output and waits. The last shows that Open MPI takes a fork of another process for a rank, before MPI begins.
"""

import argparse
import compileall
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
MPIRUN = Path(sys.executable).parent / "mpirun"
QUICKSTART = REPOSITORY / "configs" / "runs" / "quickstart.toml"
MOST_REQUEST = 1 << 20


def main() -> None:
    """Runs the jobs and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_file", type=Path, nargs="?", default=QUICKSTART, metavar="RUN.toml")
    parser.add_argument("--ranks", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rank", choices=["phases", "import", "fork"], help=argparse.SUPPRESS)  # what a rank of a job does
    arguments = parser.parse_args()
    if arguments.rank is not None:
        {"phases": lambda: _phases(arguments.run_file), "import": _import_and_meet, "fork": _fork_and_meet}[arguments.rank]()
        return
    compileall.compile_dir(REPOSITORY / "byzshield", quiet=1)  # as the first start of a job does, unless it may not write
    phases, _, _ = _job("phases", arguments.run_file, arguments.ranks)
    document: dict[str, Any] = {
        "ranks": arguments.ranks,
        "load": os.getloadavg()[0],
        "phases": {name: statistics.median(rank[name] for rank in phases) for name in phases[0]},
    }
    for way in ("import", "fork"):
        met, cpu, wall = _job(way, arguments.run_file, arguments.ranks)
        document[way] = {"ranks": met[0], "cpu_seconds": cpu, "seconds": wall}
    print(json.dumps(document) if arguments.json else _table(document))


def _phases(run_file: Path) -> None:
    """One rank: goes through what `byzshield train` does before the first step, and tells the CPU seconds of each part."""
    spent, times = time.process_time(), {}

    def done(phase: str) -> None:
        nonlocal spent
        now = time.process_time()
        times[phase], spent = now - spent, now

    times["interpreter"] = spent
    import torch

    done("torch")
    import byzshield.cli.main
    import byzshield.cli.train
    from byzshield.runtime import Builder, train_mpi

    done("byzshield")
    from byzshield.transport import mpi

    done("MPI")
    from byzshield.config import load
    from byzshield.runtime.handshake import facts

    builder = Builder(load(run_file), num_ranks=mpi.world_size())
    builder.set_threads()
    assert builder.data.num_train
    done("configuration and data")
    assert builder.computer.size
    done("network")
    facts(builder.config, builder.computer)
    done("first gradient")
    builder.computer(1, 0)
    done("second gradient")
    assert all((torch, train_mpi, byzshield.cli.train))
    print(json.dumps(times), flush=True)


def _import_and_meet() -> None:
    """One rank: imports torch by itself."""
    import torch

    assert torch
    _meet()


def _fork_and_meet() -> None:
    """One of mpirun's processes: the first of the host imports torch and forks, the others ask it to and wait."""
    path = f"/tmp/bench-start-{os.environ['PMIX_NAMESPACE'].replace('/', '-')}"
    if os.environ["OMPI_COMM_WORLD_LOCAL_RANK"] != "0":
        with socket.socket(socket.AF_UNIX) as asking:
            while asking.connect_ex(path):
                time.sleep(0.02)
            socket.send_fds(asking, [json.dumps(dict(os.environ)).encode() + b"\n"], [1, 2])
            asking.shutdown(socket.SHUT_WR)
            os._exit(asking.recv(1)[0])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(int(os.environ["OMPI_COMM_WORLD_LOCAL_SIZE"]))
        import torch

        assert torch
        asking_for: dict[int, socket.socket] = {}
        for _ in range(int(os.environ["OMPI_COMM_WORLD_LOCAL_SIZE"]) - 1):
            connection, _ = listening.accept()
            data, descriptors, _, _ = socket.recv_fds(connection, MOST_REQUEST, 2)
            while part := connection.recv(MOST_REQUEST):
                data += part
            if (process := os.fork()) == 0:
                os.dup2(descriptors[0], 1)
                os.dup2(descriptors[1], 2)
                os.environ.clear()
                os.environ.update(json.loads(data))
                _meet()
                os._exit(0)
            asking_for[process] = connection
    os.unlink(path)
    _meet()
    for process, connection in asking_for.items():
        _, status = os.waitpid(process, 0)
        connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))
    os._exit(0)


def _meet() -> None:
    """Starts MPI, sends every rank's number around, and tells at rank 0 how many ranks there are."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    assert comm.allreduce(comm.Get_rank()) == comm.Get_size() * (comm.Get_size() - 1) // 2
    if comm.Get_rank() == 0:
        print(comm.Get_size(), flush=True)
    MPI.Finalize()


def _job(way: str, run_file: Path, ranks: int) -> tuple[list[Any], float, float]:
    """What the ranks of a job tell, the CPU seconds of all its processes, and how long it took."""
    words = [sys.executable, __file__, str(run_file), "--rank", way]
    began, before = time.monotonic(), os.times()
    shell = f". '{REPOSITORY / 'scripts' / 'lib' / 'mpi_env.sh'}' && exec \"$@\""
    command = ["bash", "-c", shell, "bash", str(MPIRUN), "-n", str(ranks), *words]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return [json.loads(line) for line in output.splitlines()], cpu, time.monotonic() - began


def _table(document: dict[str, Any]) -> str:
    lines = [f"CPU seconds a rank, median of {document['ranks']} (load {document['load']:.1f}):"]
    lines += [f"  {name:24} {seconds:.3f}" for name, seconds in document["phases"].items()]
    for way, words in (("import", "each imports torch"), ("fork", "one import, forked")):
        job = document[way]
        lines.append(f"{words}: {job['ranks']} ranks, {job['cpu_seconds']:.1f} CPU-s, {job['seconds']:.1f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
