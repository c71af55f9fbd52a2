"""A rank of an MPI job that runs hostile code while the others run ours: python -m mpi4py -m hostile_rank WORD ...

It joins as a worker's rank does, answers nothing, and at its first parameters does what the words say, one after the other.
A word is the name of a function below. Then it waits to be ended, unless the last word says otherwise.
"""

import os
import signal
import sys
import time
from typing import Any

from mpi4py import MPI

from byzshield.wire import SERVER_RANK, Kind, messages

NO_TAG = 77  # no kind of frame
BLOCK = bytearray(1 << 20)
FEW = 200
SECONDS = 3.0  # of a flood


class HostileRank:
    """What this rank holds of the job: the three communicators over which it reaches the server."""

    def __init__(self) -> None:
        self.world = MPI.COMM_WORLD
        self.job, self.channel = self.world.Dup(), self.world.Dup()  # in the order in which every rank makes them
        self.pending: list[MPI.Request] = []

    def join(self) -> None:
        """Greets, and waits for the first parameters."""
        self.send(messages.hello(0, {}).encoded, tag=Kind.HELLO)
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

    def hang(self) -> None:
        """Stops itself for ever."""
        os.kill(os.getpid(), signal.SIGSTOP)


def main(words: list[str]) -> None:
    """Joins, and does what the words say."""
    rank = HostileRank()
    rank.join()
    for word in words:
        getattr(rank, word)()
    while True:
        time.sleep(0.1)
        rank.job.Iprobe(SERVER_RANK, MPI.ANY_TAG)


if __name__ == "__main__":
    main(sys.argv[1:])
