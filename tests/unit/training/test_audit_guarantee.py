"""What audits promise, by playing many runs: how often who escapes, and how many files are wrong before, for several liars.

The lies are as long as gradients, so that only draws find them; test_lengths.py has those that are longer.
"""

from collections.abc import Callable
from math import inf, sqrt

import numpy as np
import pytest
from event_driven_server import Peers, gradient, make_server

from byzshield.guarantee import effective_rate, escape_probability, guarantee_in_words, lies_until, wrong_files_expected
from byzshield.placement import Assignment, baseline, cyclic, permuted
from byzshield.training.audit import Audit
from byzshield.training.blame import Blame
from byzshield.training.digest_round import DigestRound
from byzshield.training.pace import Pace
from byzshield.training.turns import turns
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Kind, messages

LAYOUT, ENCODER = ChunkLayout(2, 2), ArrayEncoder("off")
TRUE, FALSE = np.array([1, 0.5], dtype=np.float32), np.array([-1, 0.5], dtype=np.float32)
WON_BY_LIES = LAYOUT.digests(FALSE)
RATE = 0.2
RUNS = 150
DEVIATIONS = 4.0  # of the binomial distribution
LIAR = 0

Lies = Callable[["Play", int, int], bool]


class Play:
    """Rounds in which files are checked, and workers of whom some send the same forged gradient for some files.

    Args:
        assignment: who holds which file.
        lies: whether a worker lies in a file of the step under way.
        seed: of what is drawn.
        audit_type: what draws.
        audit: how files are checked; by default each with probability RATE.
    """

    def __init__(
        self, assignment: Assignment, lies: Lies, seed: int, *, audit_type: type[Audit] = Audit, **audit: object
    ) -> None:
        self.seed = seed
        self.step = 0
        self.convicted: set[int] = set()
        self.wrong: list[list[int]] = []  # for each file that was wrong at the end of its step, who had decided it
        self._assignment = assignment
        self._lies = lies
        settings: dict[str, object] = {"arbitrate": False, "rate": RATE, "seed": seed, **audit}
        self._audit = audit_type(computer=lambda *_: TRUE, **settings)  # type: ignore[arg-type]
        self._ranks = list(range(1, assignment.num_workers + 1))
        self._pace = Pace(rank_of=self._ranks, replication=assignment.replication, ceiling=60.0)

    def play(self) -> None:
        """One step, from the first vote to the convictions."""
        self.step += 1
        placed = self._assignment.at(self.step)
        self.round = DigestRound(
            step=self.step,
            assignment=placed,
            layout=LAYOUT,
            matrix=np.zeros((placed.num_files, LAYOUT.size), dtype=np.float32),
            blame=Blame(placed.num_workers),
            pace=self._pace,
            turns=turns(placed, self._ranks, on_request=False),
            now=0.0,
            audit=self._audit,
            recompute=lambda file: TRUE,
            expelled=frozenset(self.convicted),
        )
        self._voted: dict[tuple[int, int], bool] = {}
        requests = self.round.begin(0.0)
        # The liars vote last, when they can see most.
        order = sorted(range(placed.num_workers), key=lambda worker: (-worker, worker))
        for worker in order:
            for file in placed.files_of[worker].tolist():
                requests += self._vote(worker, file)
        while not self.round.done:
            answers = [answer for request in requests for answer in self._answer(request)]
            requests = answers if requests else self.round.work(0.0)
        self.wrong += [ballot.supporters for ballot in self.round.ballots if ballot.winner == WON_BY_LIES]
        self.convicted |= {conviction.worker for conviction in self.round.convictions}

    def _answer(self, request: Frame) -> list[Frame]:
        worker, file = request.worker, request.file
        if request.kind is Kind.COMPUTE:
            return self._vote(worker, file)
        values = FALSE if self._voted[worker, file] else TRUE
        chunks = messages.gradient_chunks(worker, self.step, file, values, layout=LAYOUT, encoder=ENCODER, chunk=request.chunk)
        return [answer for chunk in chunks for answer in self.round.receive(chunk, 0.0)]

    def _vote(self, worker: int, file: int) -> list[Frame]:
        if (worker, file) in self._voted:
            return []
        self._voted[worker, file] = lie = self._lies(self, worker, file)
        return self.round.receive(messages.digests(worker, self.step, file, LAYOUT.digests(FALSE if lie else TRUE)), 0.0)


def always(play: Play, worker: int, file: int) -> bool:
    return worker == LIAR


def rarely(play: Play, worker: int, file: int) -> bool:
    return worker == LIAR and play.step % 3 == 0


def of_one_label(play: Play, worker: int, file: int) -> bool:
    """Files are shards, each of one label, and workers change their places."""
    return worker == LIAR and file == 2


def while_busy(play: Play, worker: int, file: int) -> bool:
    """When the server has something to check already."""
    return worker == LIAR and play.round.busy


def assert_binomial(count: int, trials: int, probability: float) -> None:
    deviation = sqrt(trials * probability * (1 - probability))
    assert abs(count - trials * probability) <= DEVIATIONS * deviation, (count, trials, probability)


def wrong_files(assignment: Assignment, lies: Lies, seed: int, **audit: object) -> list[list[int]]:
    """Who had decided each wrong file, until the liar is convicted."""
    play = Play(assignment, lies, seed, **audit)
    while LIAR not in play.convicted:
        play.play()
    assert play.convicted == {LIAR}
    return play.wrong


@pytest.mark.parametrize("lies", [always, rarely, of_one_label, while_busy])
def test_whenever_a_worker_lies_it_survives_k_lies_with_the_stated_probability(lies: Lies) -> None:
    places = baseline(num_workers=3)
    counts = []
    for seed in range(RUNS):
        counts.append(len(wrong_files(permuted(places, seed=seed) if lies is of_one_label else places, lies, seed)))
    for lies_told in (1, 2, 5, 10):
        assert_binomial(sum(count >= lies_told for count in counts), RUNS, escape_probability(RATE, lies_told))
    deviation = sqrt(1 - RATE) / RATE  # of the geometric distribution
    assert abs(sum(counts) / RUNS - wrong_files_expected(RATE)) <= DEVIATIONS * deviation / sqrt(RUNS)


def test_a_single_lie_is_found_as_often_as_files_are_checked() -> None:
    caught = 0
    for seed in range(RUNS):
        play = Play(baseline(num_workers=3), lambda play, worker, file: worker == LIAR and play.step == 2, seed)
        for _ in range(3):
            play.play()
        assert len(play.wrong) == (LIAR not in play.convicted)
        caught += LIAR in play.convicted
    assert_binomial(caught, RUNS, RATE)


@pytest.mark.parametrize("arbitrated", [False, True])
def test_where_all_but_one_lie_each_does_what_it_could_do_alone_at_most_and_the_honest_one_is_left(arbitrated: bool) -> None:
    num_workers, honest, runs = 15, 7, 12
    places = cyclic(num_workers=num_workers, replication=2).arbitrated() if arbitrated else baseline(num_workers=num_workers)
    counts: list[int] = []
    for seed in range(runs):
        play = Play(places, lambda play, worker, file: worker != honest, seed, arbitrate=arbitrated)
        while len(play.convicted) < num_workers - 1:
            play.play()
        assert honest not in play.convicted
        counts += [sum(worker in deciders for deciders in play.wrong) for worker in range(num_workers) if worker != honest]
    for lies_told in (1, 2, 5, 10):
        probability = escape_probability(RATE, lies_told)
        bound = len(counts) * probability + DEVIATIONS * sqrt(len(counts) * probability * (1 - probability))
        assert sum(count >= lies_told for count in counts) <= bound
    assert sum(counts) / len(counts) <= wrong_files_expected(RATE)


def test_of_accomplices_who_lie_once_and_at_the_same_time_all_escape_or_none() -> None:
    rate, num_workers, escaped = 0.1, 15, 0
    for seed in range(RUNS):
        play = Play(baseline(num_workers=num_workers), lambda play, worker, file: worker > 0 and play.step == 1, seed, rate=rate)
        play.play()
        play.play()
        assert (len(play.convicted), len(play.wrong)) in ((0, num_workers - 1), (num_workers - 1, 0))
        escaped += not play.convicted
    assert_binomial(escaped, RUNS, escape_probability(rate, num_workers - 1))


def test_witnesses_who_are_accomplices_make_checks_as_much_rarer_as_stated() -> None:
    num_workers, colluders = 9, range(4)

    def lies(play: Play, worker: int, file: int) -> bool:
        return file == LIAR and worker in colluders  # in baseline, worker w has file w

    counts = [len(wrong_files(baseline(num_workers=num_workers), lies, seed, by="workers")) for seed in range(RUNS)]
    rate = effective_rate(RATE, honest=5, candidates=8)
    for lies_told in (1, 2, 5):
        assert_binomial(sum(count >= lies_told for count in counts), RUNS, escape_probability(rate, lies_told))


def test_in_idle_time_a_lie_is_found_a_step_later_as_often_as_files_are_checked() -> None:
    num_workers, runs = 3, 50
    true, false = gradient(1, 2, 3), gradient(-100, 2, 3)
    counts = []
    for seed in range(runs):
        audit = Audit(computer=lambda *_: true, arbitrate=False, rate=0.0, idle=True, seed=seed)
        server = make_server(baseline(num_workers=num_workers), audit=audit)
        while LIAR not in server.convictions.expelled:
            peers = Peers(server)
            server.open_round(0.0)
            for worker in range(num_workers):
                values = false if worker == LIAR else true
                peers.vote(worker, worker, values, step=server.step + 1)
                peers.pay(worker, worker, values, step=server.step + 1)
            server.close_round(server.aggregate())
            assert server.idle_checks == 1  # as many as others compute
            server.check_past(0.0)
        assert server.convictions.expelled == {LIAR}
        counts.append(server.step)
    rate = 1 / num_workers
    for lies_told in (2, 3, 5):  # the first always counts
        assert_binomial(sum(count >= lies_told for count in counts), runs, escape_probability(rate, lies_told - 1))
    deviation = sqrt(1 - rate) / rate
    assert abs(sum(counts) / runs - wrong_files_expected(rate, idle=True)) <= DEVIATIONS * deviation / sqrt(runs)


def test_nobody_is_convicted_where_nobody_lies() -> None:
    for by in ("server", "workers"):
        play = Play(baseline(num_workers=15), lambda play, worker, file: False, 1, rate=0.5, by=by)
        for _ in range(40):
            play.play()
        assert (play.convicted, play.wrong) == (set(), [])


def test_a_file_that_another_decides_after_a_conviction_is_drawn_anew() -> None:
    # Otherwise whoever stands in for a convicted accomplice would know that nobody looks, or the file would be settled.
    draws = {0: [False, True], 1: [True], 2: [False], 3: [False]}

    class Script(Audit):
        def draws(self, step: int, file: int) -> bool:
            return draws[file].pop(0)

    play = Play(
        Assignment(scheme="custom", files_of=np.array([[0, 1], [2, 3]])),
        lambda play, worker, file: (worker, file) in ((0, 1), (1, 0)),
        seed=1,
        audit_type=Script,
    )
    play.play()
    assert (play.convicted, play.wrong) == ({0, 1}, [])


def test_the_formulas_agree_with_each_other_and_hold_at_both_ends() -> None:
    for rate in (0.01, 0.1, 0.5):
        lies = int(lies_until(rate, 0.99))
        assert escape_probability(rate, lies) <= 0.01 < escape_probability(rate, lies - 1)
        assert wrong_files_expected(rate) == pytest.approx(sum(escape_probability(rate, lies) for lies in range(1, 5000)))
    assert (escape_probability(1, 1), wrong_files_expected(1), lies_until(1, 0.99)) == (0, 0, 1)
    assert (escape_probability(0, 9), wrong_files_expected(0), lies_until(0, 0.99)) == (1, inf, inf)
    assert guarantee_in_words(0, arbitrated=False) == ""
    assert guarantee_in_words(0, arbitrated=True) == "a file is wrong only if all its holders collude"


def test_what_is_said_depends_on_who_checks_when_and_what_comes_of_it() -> None:
    escapes = "who lies in k files escapes with probability 0.5^k (10 files: 0%)"
    assert guarantee_in_words(0.5, arbitrated=False, expels=False) == escapes
    assert guarantee_in_words(0.5, arbitrated=True) == (
        f"a file is wrong only if all its holders collude; {escapes}, and 1 files are wrong on average before"
    )
    assert guarantee_in_words(0.5, arbitrated=False, idle=True) == (
        f"{escapes}, and 2 files are wrong on average before, unless it knows when the server has no time"
    )
    assert guarantee_in_words(0.5, arbitrated=False, witnessed=True).endswith("before, if witnesses are honest")
