"""The logical workers of one process as a state machine: frames in, one file of work at a time, frames out."""

from collections import OrderedDict, deque
from collections.abc import Collection, Sequence, Set
from functools import partial

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.choices import Exchange
from byzshield.coding import CyclicCode
from byzshield.placement import Assignment
from byzshield.training.adversary import Adversary
from byzshield.training.gradient import GradientComputer, Poison
from byzshield.training.turns import postponed
from byzshield.wire import ALL_CHUNKS, SERVER_RANK, ArrayEncoder, ChunkLayout, Frame, Kind, Message, Packet, messages

__all__ = ["Worker"]


class Worker:
    """Hosts one or several logical workers on one rank; a file that several of them hold is computed once.

    The caller hands in every message first (`receive`, `receive_from_accomplice`), then calls `work` for one file, and sends
    what either returns. Gradients are not in it: `deliver` makes messages of one that the server is to get, and the caller asks
    for it when those before it are on their way. New parameters end the step before: a worker that fell behind drops the rest
    and catches up.

    Workers that are expelled compute and send nothing, from the step on before which the server says so.

    With `on_request`, its `postponed` files are computed, and voted on, only when the server asks for them, since nobody needs
    them if nobody fails. Without, all are computed, those last. It may also ask for files of others, who have failed it.

    Args:
        workers: the logical workers hosted here.
        assignment: who holds which file.
        computer: computes gradients.
        layout: the chunks of a gradient; in the coded exchange those of a combination, 2 d values of float64.
        encoder: compresses chunks.
        exchange: "digest", "full" or "coded".
        code: how the coded exchange combines the files of a worker; it sends nothing before all of them are computed.
        adversary: what the Byzantine ones among `workers` do; None in a run without an attack.
        on_request: whether postponed files wait for a request.
    """

    def __init__(
        self,
        *,
        workers: Sequence[int],
        assignment: Assignment,
        computer: GradientComputer,
        layout: ChunkLayout,
        encoder: ArrayEncoder,
        exchange: Exchange,
        code: CyclicCode | None = None,
        adversary: Adversary | None,
        on_request: bool = False,
    ) -> None:
        self.workers = tuple(sorted(workers))
        self.stopped = False
        self.step = 0
        self._attempt = 0
        self._placement = assignment
        self._computer = computer
        self._layout = layout
        self._encoder = encoder
        self._exchange = exchange
        self._code = code
        self.adversary = adversary
        self._byzantine: tuple[int, ...] = ()
        self._expelled: frozenset[int] = frozenset()  # workers that compute no more
        self._placed_without: frozenset[int] = frozenset()  # those of them that do not count in this step
        self._queue: OrderedDict[int, None] = OrderedDict()  # files to compute
        self._gradients: dict[int, Float32] = {}
        self._unsent: dict[int, list[int]] = {}  # files that Byzantine workers have still to vote on, and who of them
        self._requested: dict[int, list[int]] = {}  # files on which honest workers were asked to vote after all
        self._due: deque[tuple[int, int, int]] = deque()  # what is to be delivered: worker, file and chunk
        self._on_request = on_request
        self._take_places(assignment, ())
        self._known: set[int] = set()  # files that were computed in this step
        self._computed = 0  # gradients, in all steps
        self._seconds = 0.0  # of computing in this step
        self.accepts = messages.accepted_by_worker(computer.num_parameters, assignment.num_workers)

    @property
    def busy(self) -> bool:
        """Whether `work` has something to compute."""
        return not self.stopped and self._next_file() is not None

    @property
    def in_debt(self) -> bool:
        """Whether `deliver` has something to send."""
        return bool(self._due) and not self.stopped

    @property
    def payload_bytes(self) -> int:
        """What `deliver` returns at most, without headers."""
        return self._layout.size * (4 if self._code is None else 8)

    def receive(self, packet: Packet) -> list[Message]:
        """Takes a message from the parameter server, which is trusted; returns what to send back to it.

        Raises:
            FrameError: the message is not one that a server sends; the job is broken.
        """
        frame = self.accepts.open(packet)
        if frame.kind is Kind.COMPUTE:
            return self._take_request(frame)
        if frame.kind is Kind.FETCH:
            self._take_order(frame)
        elif frame.kind is Kind.EXPELLED:
            self._take_expulsions(frame)
        elif frame.kind is Kind.STOP:
            self.stopped = True
        else:
            return self._begin(frame)
        return []

    def receive_from_accomplice(self, packet: Packet) -> list[Message]:
        """Takes a message from the adversary's own channel; returns what to send to the server."""
        if self.adversary is None:
            return []
        self.adversary.receive(packet)
        return self._send_fresh()

    def lose_accomplices(self, ranks: Set[int]) -> list[Message]:
        """Hears which ranks are dead, for which no accomplice is to wait any more; returns what to send to the server."""
        for file in () if self.adversary is None else self.adversary.lose(ranks):
            self._known.discard(file)
            self._queue.setdefault(file)
        return self._send_fresh()

    def work(self) -> list[Message]:
        """Computes one file; returns what to send to the server."""
        file = self._next_file()
        assert file is not None
        del self._queue[file]
        votes: list[Frame] = []
        voted = file in self._gradients  # and it is computed again for the adversary
        holders = [*(() if voted else self._holders.get(file, ())), *self._requested.pop(file, ())]
        poison = None if self.adversary is None else self.adversary.poison_of(file)
        gradient = self._compute(file) if holders or poison is None else None
        if holders and gradient is not None:
            self._gradients[file] = gradient
            joined = self._layout.digests(gradient) if self._exchange == "digest" else b""
            for worker in holders:
                if self._code is None:
                    votes += self._vote(worker, file, joined)
                elif self._knows_all(worker):
                    self._due.append((worker, worker, ALL_CHUNKS))
        messages_out = self._to_server(votes)
        if self.adversary is not None and file not in self._known:
            self.adversary.learn(file, self._compute(file, poison) if gradient is None or poison is not None else gradient)
            messages_out += self._send_fresh()
        self._known.add(file)
        return messages_out

    def _next_file(self) -> int | None:
        """The first file in the queue that is not held back for accomplices who are slow."""
        held_back: Set[int] = frozenset() if self.adversary is None else self.adversary.held_back
        return next((file for file in self._queue if file not in held_back), None)

    def deliver(self) -> list[Message]:
        """Copies one gradient, or the part of it that was asked for, into messages; returns them."""
        worker, file, chunk = self._due.popleft()
        vector = self._vector(worker, file) if self._code is None else self._combination(worker, self._code)
        assert vector is not None
        frames = messages.gradient_chunks(
            worker, self.step, file, vector, layout=self._layout, encoder=self._encoder, chunk=chunk
        )
        return self._tampered(worker, frames) if worker in self._byzantine else self._to_server(frames)

    def _compute(self, file: int, poison: Poison | None = None) -> Float32:
        """The gradient of a file, float32 [d], of its samples or of what the adversary makes of them."""
        before = self._computer.seconds  # of all ranks that share the model
        gradient = self._computer.or_nan(self.step, file, poison)
        self._seconds += self._computer.seconds - before
        self._computed += 1
        return gradient

    def _begin(self, frame: Frame) -> list[Message]:
        self._computer.load_by(partial(messages.read_vector, frame))
        self._encoder.follow(frame.chunk == 1)
        self._seconds = 0.0
        self.step, self._attempt = frame.step, frame.attempt
        self._gradients.clear()
        self._due.clear()
        self._requested.clear()
        self._known.clear()
        for_the_adversary: list[int] = []
        if self.adversary is not None:
            for_the_adversary = self.adversary.begin(self.step, attempt=self._attempt, without=self._expelled)
        byzantine = () if self.adversary is None else self.adversary.members_here
        assignment = self._placement.at(self.step)
        others = byzantine != self._byzantine or self._expelled != self._placed_without
        if others or assignment is not self._assignment:
            self._take_places(assignment, byzantine)
        self._unsent = {file: list(workers) for file, workers in self._forged_first.items()}
        if self.adversary is not None:
            for_the_adversary = sorted({*for_the_adversary, *filter(self.adversary.computes, self._unsent)})
        self._queue = OrderedDict.fromkeys([*for_the_adversary, *self._order])
        return self._send_fresh()  # if what accomplices have sent early is all that they need

    def _take_expulsions(self, frame: Frame) -> None:
        """Hears who computes no more from the next step on; if that is everybody here, there will be none."""
        self._expelled = messages.read_expelled(frame)
        if self._expelled.issuperset(self.workers):
            self._queue.clear()
            self._due.clear()
            self._unsent.clear()

    def _take_places(self, assignment: Assignment, byzantine: tuple[int, ...]) -> None:
        """Works out what changes only with the assignment and the workers: who votes on which file, in which order."""
        self._assignment, self._byzantine, self._placed_without = assignment, byzantine, self._expelled
        late = postponed(assignment)
        honest = [worker for worker in self.workers if worker not in byzantine and worker not in self._expelled]
        urgent = _by_file(honest, assignment, without=late)
        self._holders = urgent if self._on_request else _by_file(honest, assignment)
        self._forged_first = _by_file(byzantine, assignment, without=late if self._on_request else frozenset())
        self._order = list(dict.fromkeys([*sorted(urgent), *sorted(self._holders)]))

    def _take_request(self, frame: Frame) -> list[Message]:
        """Votes on a file after all, now or once it is computed, behind what is to be done before."""
        worker, file = frame.worker, frame.file
        if not self._is_current(frame) or worker not in self.workers or not 0 <= file < self._assignment.num_files:
            return []
        if worker in self._byzantine and self.adversary is not None:
            self._unsent.setdefault(file, []).append(worker)
            self.adversary.take_on(file)
            if self.adversary.forged(file) is not None or not self.adversary.computes(file):
                return self._send_forged([file])
            self._known.discard(file)  # the adversary had no use for it before
        elif file in self._gradients:
            return self._to_server(self._vote(worker, file, self._layout.digests(self._gradients[file])))
        else:
            self._requested.setdefault(file, []).append(worker)
        self._queue.setdefault(file)
        return []

    def _is_current(self, frame: Frame) -> bool:
        return (frame.step, frame.attempt) == (self.step, self._attempt)

    def _take_order(self, frame: Frame) -> None:
        """Takes a request for a payload, which is answered if it is there."""
        if self._is_current(frame) and frame.worker in self.workers and self._vector(frame.worker, frame.file) is not None:
            self._due.append((frame.worker, frame.file, frame.chunk))

    def _vector(self, worker: int, file: int) -> Float32 | None:
        """The gradient that `worker` has, or pretends to have, float32 [d]; None while it is not known."""
        if worker in self._byzantine and self.adversary is not None:
            return self.adversary.forged(file)
        return self._gradients.get(file)

    def _vote(self, worker: int, file: int, joined: bytes) -> list[Frame]:
        """What `worker` sends at once for a file: its digests; or else the whole gradient is due."""
        if self._exchange == "digest":
            return [messages.digests(worker, self.step, file, joined)]
        self._due.append((worker, file, ALL_CHUNKS))
        return []

    def _knows_all(self, worker: int) -> bool:
        """Whether all is known that the combination of `worker` is made of, which nobody gets before."""
        return all(self._vector(worker, file) is not None for file in self._assignment.files_of[worker].tolist())

    def _combination(self, worker: int, code: CyclicCode) -> Float64:
        """What `worker` sends for all its files."""
        vectors = (self._vector(worker, file) for file in self._assignment.files_of[worker].tolist())
        return code.encode(worker, [vector for vector in vectors if vector is not None]).view(np.float64)

    def _send_fresh(self) -> list[Message]:
        """Votes for what has become known of what Byzantine workers here send."""
        return [] if self.adversary is None else self._send_forged(self.adversary.take_fresh())

    def _send_forged(self, files: Collection[int]) -> list[Message]:
        """Votes for what has become known of these files, of which what is sent may be forged."""
        if self.adversary is None:
            return []
        messages_out: list[Message] = []
        if self._code is not None:
            for worker in sorted({worker for file in files for worker in self._unsent.get(file, ())}):
                if self._knows_all(worker):
                    for file in self._assignment.files_of[worker].tolist():
                        self._unsent[file].remove(worker)
                    self._due.append((worker, worker, ALL_CHUNKS))
            return messages_out
        before, joined = None, b""
        for file in sorted(self._unsent.keys() & files):
            vector = self.adversary.forged(file)
            if vector is None:
                continue
            if self._exchange == "digest" and vector is not before:
                before, joined = vector, self._layout.digests(vector)
            for worker in self._unsent.pop(file):
                if votes := self._vote(worker, file, joined):
                    messages_out += self._tampered(worker, votes)
        return messages_out

    def _tampered(self, worker: int, frames: list[Frame]) -> list[Message]:
        assert self.adversary is not None
        return self._to_server(self.adversary.attack.tamper(frames, worker=worker, step=self.step))

    def _to_server(self, outgoing: Sequence[Frame | Message]) -> list[Message]:
        """Addresses what is sent, and says in each frame how long this rank has computed in this step, and how much in all."""
        compute_us, gradients, attempt = round(1e6 * self._seconds), self._computed, self._attempt
        return [
            each.telling(SERVER_RANK, compute_us=compute_us, gradients=gradients, attempt=attempt)
            if isinstance(each, Frame)
            else each
            for each in outgoing
        ]


def _by_file(
    workers: Sequence[int], assignment: Assignment, *, without: Set[tuple[int, int]] = frozenset()
) -> dict[int, list[int]]:
    """For each file that some of these workers hold, which of them do, ascending, but for some pairs (worker, file)."""
    holders: dict[int, list[int]] = {}
    for worker in sorted(workers):
        for file in assignment.files_of[worker].tolist():
            if (worker, file) not in without:
                holders.setdefault(file, []).append(worker)
    return holders
