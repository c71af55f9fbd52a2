"""A rank of an MPI job that runs hostile code while the others run ours: python -m mpi4py -m hostile_rank WORD ...

It joins as a worker's rank does, answers nothing, and in its third step does what the words say, one after the other.
A word is the name of a function below. Then it waits to be ended, unless the last word says otherwise.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mpi4py import MPI

from byzshield.wire import SERVER_RANK, Kind, messages

NO_TAG = 77  # no kind of frame
BLOCK = bytearray(1 << 20)
SMALL = 4000  # as long as MPI sends without being asked for it over shared memory
LONG = 70_000  # more than Open MPI sends before its receiver asks for it
LONG_SLEEP = 1000.0
FLOOD_MESSAGES = 50_000
FLOOD_SECONDS = 0.5
NUM_WORKERS = 15


class HostileRank:
    """What this rank holds of the job: the three communicators over which it reaches the server."""

    def __init__(self) -> None:
        self.world = MPI.COMM_WORLD
        self.job, self.channel = self.world.Dup(), self.world.Dup()  # in the order in which every rank makes them
        self.pending: list[MPI.Request] = []

    def join(self) -> None:
        """Greets, and waits for the parameters of the third step: the first takes memory that stays."""
        self.send(messages.hello(0, {}).encoded, tag=Kind.HELLO)
        for _ in range(3):
            self.await_kind(Kind.PARAMETERS)

    def await_kind(self, kind: Kind) -> None:
        """Takes what the server sends, until a frame of this kind comes."""
        status = MPI.Status()
        while True:
            self.job.Probe(SERVER_RANK, MPI.ANY_TAG, status)
            data = bytearray(status.Get_count(MPI.BYTE))
            self.job.Recv([data, MPI.BYTE], SERVER_RANK, status.Get_tag())
            if status.Get_tag() == kind:
                return

    def send(self, data: Any, *, tag: int = NO_TAG, to: int = SERVER_RANK, over: MPI.Comm | None = None) -> None:
        """Starts to send, and helps MPI on until it is gone or a second is over."""
        request = (over or self.job).Isend(data if isinstance(data, list) else [data, MPI.BYTE], to, tag)
        ends = time.monotonic() + 1
        while not request.Test() and time.monotonic() < ends:
            time.sleep(1e-3)
        self.pending.append(request)

    # What a word does.

    def negative_count(self) -> None:
        """3 GB from 1 MB: a datatype with stride 0, whose count does not fit into 31 bits."""
        repeated = MPI.BYTE.Create_hvector(3000, len(BLOCK), 0).Commit()
        for tag in (Kind.GRADIENT, Kind.DIGESTS, NO_TAG):
            self.send([memoryview(BLOCK), 1, repeated], tag=tag)

    def unknown_tags(self) -> None:
        """Short and long messages of no kind, or of a kind that only the server sends."""
        for tag in (NO_TAG, Kind.PARAMETERS, Kind.DISMISS, 30_000):
            for size in (0, 100, 70_000, len(BLOCK)):
                self.send(BLOCK[:size], tag=tag)

    def flood_world(self) -> None:
        """Small messages to everybody over MPI_COMM_WORLD."""
        self._flood(self.world, [to for to in range(self.world.Get_size()) if to != self.world.Get_rank()])

    def flood_channel(self) -> None:
        """Small messages to everybody over the adversary's channel."""
        self._flood(self.channel, [to for to in range(self.world.Get_size()) if to != self.world.Get_rank()])

    def flood_workers(self) -> None:
        """Small messages to all workers over the communicator of the job."""
        self._flood(self.job, [to for to in range(self.world.Get_size()) if to not in (SERVER_RANK, self.world.Get_rank())])

    def flood_job(self) -> None:
        """Small messages of a kind that is accepted, to the server."""
        self._flood(self.job, [SERVER_RANK])

    def flood_collectives(self) -> None:
        """Its part of a collective operation, again and again: messages that no receive of the server can match."""
        while True:
            self.world.Gather([BLOCK[:SMALL], MPI.BYTE], None, root=SERVER_RANK)

    def promise_to_workers(self) -> None:
        """A long message to every worker that begins and never ends."""
        for to in range(1, self.world.Get_size()):
            if to != self.world.Get_rank():
                self.pending.append(self.job.Isend([BLOCK, MPI.BYTE], to, Kind.PARAMETERS))

    def promise_and_stop(self) -> None:
        """A gradient that begins and never ends: this process is stopped in the middle."""
        self.pending.append(self.job.Isend([BLOCK[:LONG], MPI.BYTE], SERVER_RANK, Kind.GRADIENT))
        os.kill(os.getpid(), signal.SIGSTOP)

    def goodbye_and_hang(self) -> None:
        """All that is asked for at the end, and then no MPI_Finalize."""
        self.await_kind(Kind.STOP)
        self.send(messages.goodbye(self.first_worker(), 1).encoded, tag=Kind.GOODBYE)
        self.await_kind(Kind.DISMISS)
        time.sleep(LONG_SLEEP)

    def goodbye_and_stop(self) -> None:
        """The same, by a process that is stopped."""
        self.await_kind(Kind.STOP)
        self.send(messages.goodbye(self.first_worker(), 1).encoded, tag=Kind.GOODBYE)
        os.kill(os.getpid(), signal.SIGSTOP)

    def abort(self) -> None:
        """MPI_Abort."""
        self.world.Abort(3)

    def weigh(self) -> None:
        """Appends to the file "weights", as a line of JSON, the resident bytes of each rank of the job on this host."""
        own, found = os.environ["PMIX_NAMESPACE"], {}
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (process / "environ").read_bytes().decode(errors="replace").split("\0") if process.name.isdigit() else []
                variables = dict(word.split("=", 1) for word in words if "=" in word)
                if variables.get("PMIX_NAMESPACE") == own:
                    pages = int((process / "statm").read_text().split()[1])
                    found[variables["PMIX_RANK"]] = pages * os.sysconf("SC_PAGE_SIZE")
        with open("weights", "a") as file:
            file.write(json.dumps(found) + "\n")

    def first_worker(self) -> int:
        """The first of the workers that this rank should host."""
        hosts = self.world.Get_size() - 1
        return next(worker for worker in range(NUM_WORKERS) if 1 + worker * hosts // NUM_WORKERS == self.world.Get_rank())

    def _flood(self, over: MPI.Comm, ranks: list[int]) -> None:
        ends = time.monotonic() + FLOOD_SECONDS
        for number in range(FLOOD_MESSAGES):
            for to in ranks:
                over.Send([BLOCK[:SMALL], MPI.BYTE], to, Kind.DIGESTS)
            if number % 100 == 0 and time.monotonic() > ends:
                return


def main(words: list[str]) -> None:
    """Joins, and does what the words say."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # which stops the job in order, and would end this process at once
    rank = HostileRank()
    rank.join()
    for word in words:
        getattr(rank, word)()
    while True:
        time.sleep(0.1)
        rank.job.Iprobe(SERVER_RANK, MPI.ANY_TAG)


if __name__ == "__main__":
    main(sys.argv[1:])
