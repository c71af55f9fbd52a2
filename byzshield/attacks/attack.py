"""The contract of every attack: what Byzantine workers send instead of their gradients."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byzshield.aggregation.matrix import M, open_matrix
from byzshield.arguments import checked
from byzshield.arrays import Float32
from byzshield.attacks.defense import Defense, Rule
from byzshield.errors import ParameterError
from byzshield.registry import Registry
from byzshield.representation import constructor_call
from byzshield.seeding import generator
from byzshield.wire import Frame, Message

__all__ = ["ATTACKS", "Attack", "Memory", "Situation", "require_positive"]

Memory = dict[str, NDArray[Any]]
LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the adversary knows about the step in which it forges.

    Args:
        step: the training step, from 1.
        num_rows: rows that the server's rule gets, the number of files f.
        num_corrupted: files of which the adversary holds a majority in this step.
        honest_copies: for a collusive attack, how many honest workers hold each of the files whose gradients are known, [n].
        files: for a collusive attack, the files whose gradients are known, ascending, [n]; empty outside of a run.
        corrupted: which of the known gradients, by position, the server gets as the adversary forges them.
        defense: for an attack that `needs_rule`, what the server's rule makes of what it forges.
        parameters: those at which the gradients are taken, float32 [p], for an attack that `remembers`; None outside of a run.
        memory: what an attack that `remembers` has put there in earlier steps. It puts new arrays in, and changes none in place.
        rng: the adversary's random stream for this forgery, the same in all accomplices.
    """

    step: int
    num_rows: int
    num_corrupted: int
    honest_copies: tuple[int, ...] = ()
    files: tuple[int, ...] = ()
    corrupted: tuple[int, ...] = ()
    defense: Defense | None = None
    parameters: Float32 | None = None
    memory: Memory = field(default_factory=dict)
    rng: np.random.Generator


class Attack(ABC):
    """Turns true gradients into forged ones, inside the processes of the Byzantine workers.

    A local attack sees one gradient, that of the file which it forges. A collusive one (`collusive = True`) sees the gradients
    that the accomplices put together, and its one vector is sent for every file. Either way all accomplices send the same
    bytes for a file, or they would lose the vote.

    An attack that `remembers` is collusive, so that one accomplice alone has its memory. One that `poisons` has gradients taken
    of samples that it has changed.
    """

    collusive: bool = False
    compiled: ClassVar[bool] = False
    """Whether it calls the compiled kernels of `aggregation.primitives` itself, which take memory of their own."""

    @property
    def remembers(self) -> bool:
        """Whether what it forges depends on earlier steps, by `Situation.memory`."""
        return False

    @property
    def poisons(self) -> bool:
        """Whether the gradients that it is given are those of changed samples, by `poison`."""
        return False

    @property
    def needs_num_corrupted(self) -> bool:
        """Whether what it forges depends on how many rows are corrupted."""
        return self.needs_rule

    @property
    def needs_rule(self) -> bool:
        """Whether it tries out on the server's rule what to send; only a collusive attack that knows all files can."""
        return False

    def __repr__(self) -> str:
        return constructor_call(self)

    @checked
    def __call__(
        self,
        honest: M | Sequence[M],
        num_corrupted: int | None = None,
        *,
        rule: Rule | None = None,
        step: int = 1,
        seed: int = 0,
        memory: Memory | None = None,
        parameters: ArrayLike | None = None,
    ) -> M:
        """The row that colluders send who know these honest rows, outside of a run.

        Args:
            honest: [n, d], a numpy array or a torch tensor on any device, or a list of n vectors [d]. A local attack forges their
                mean.
            num_corrupted: rows that the adversary sends beside them; only some attacks need it.
            rule: what the server does with all rows, the forged ones last, for attacks that try it out: an aggregation rule,
                which is told num_corrupted unless it was told a number, a `Pipeline`, or a function of a numpy array [n, d].
            step: of the training, for attacks that draw at random.
            seed: of their draws.
            memory: for attacks that remember, a dictionary that begins empty and is given again in each step.
            parameters: for attacks that look at what training does, those at which the rows were taken, [p].

        Returns:
            [d], of the same kind, dtype and device.

        Raises:
            ParameterError: not a floating-point matrix, no row, parameters that do not fit the rows, or num_corrupted is
                negative, or it or the rule is needed and missing.
        """
        rows, back = open_matrix(honest)
        if len(rows) < 1:
            raise ParameterError("an attack needs at least 1 honest row")
        if num_corrupted is None and self.needs_num_corrupted:
            raise ParameterError(f"{self} needs num_corrupted, how many rows the adversary sends beside the honest ones")
        if num_corrupted is not None and num_corrupted < 0:
            raise ParameterError(f"num_corrupted must not be negative; got {num_corrupted}")
        if rule is None and self.needs_rule:
            raise ParameterError(f"{self} needs rule, what the server does with the rows, as in rule=bz.Median()")
        known = None if parameters is None else np.asarray(parameters, dtype=np.float32)
        if known is not None and (known.ndim != 1 or known.size > rows.shape[1]):
            raise ParameterError(f"parameters must be at most {rows.shape[1]} values, like a row; got shape {list(known.shape)}")
        situation = Situation(
            step=step,
            num_rows=len(rows) + (num_corrupted or 0),
            num_corrupted=num_corrupted or 0,
            parameters=known,
            memory={} if memory is None else memory,
            rng=generator(seed, "attack", step),
        )
        return back(self._forged(rows, situation, rule))

    def _forged(self, rows: Any, situation: Situation, rule: Rule | None) -> Any:
        """The forged row, of the kind of `rows`: a numpy array, or a torch tensor on another device than the CPU."""
        if not isinstance(rows, np.ndarray):
            import torch

            return torch.from_numpy(self._forged(rows.cpu().numpy(), situation, rule)).to(rows.device)
        if rule is not None and self.needs_rule:
            received = np.zeros((situation.num_rows, rows.shape[1]), rows.dtype)
            received[: len(rows)] = rows
            forged = range(len(rows), len(received))
            situation = replace(situation, defense=Defense(rule, received, corrupted=forged, step=situation.step))
        return np.asarray(self.forge(rows if self.collusive else rows.mean(axis=0), situation), dtype=rows.dtype)

    @abstractmethod
    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        """Returns the forged gradient, float32 [d].

        Args:
            gradients: the file's true gradient [d]; for a collusive attack those of all known files [n, d], files ascending.
            situation: the step.
        """

    def poison(self, batch: Any, num_classes: int | None) -> Any:
        """Changes the samples of a file, if it `poisons`.

        Args:
            batch: what the data set gives.
            num_classes: of the data set; None if it does not tell.

        Raises:
            ParameterError: they are no samples that it can change.
        """
        return batch

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        """Rewrites the outgoing frames of a Byzantine worker: drop, repeat, damage. The default sends them as they are.

        Args:
            frames: what the worker is about to send for one file.
            worker: the Byzantine worker.
            step: the training step.

        Returns:
            what it sends instead: frames, or messages to SERVER_RANK whose bytes need not be a frame at all.
        """
        return frames


ATTACKS: Registry[type[Attack]] = Registry("attack", "byzshield.attacks", base=Attack, checks_arguments=True)


def require_positive(name: str, value: float) -> None:
    """Refuses what is no positive number of float32, the type of the gradients.

    Raises:
        ParameterError: it is not positive, or not finite in float32.
    """
    if not 0 < value <= LARGEST:
        raise ParameterError(f"{name} must be positive and at most {LARGEST:.4g}; got {value}")
