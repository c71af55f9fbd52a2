"""The contract of every attack: what Byzantine workers send instead of their gradients."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from byzshield.arrays import Float32
from byzshield.errors import ParameterError
from byzshield.registry import Registry
from byzshield.wire import Frame, Message

__all__ = ["ATTACKS", "Attack", "Situation", "require_positive"]

LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the adversary knows about the step in which it forges.

    Args:
        step: the training step, from 1.
        num_rows: rows that the server's rule gets, the number of files f.
        num_corrupted: files of which the adversary holds a majority in this step.
        honest_copies: for a collusive attack, how many honest workers hold each of the files whose gradients are known, [n].
        rng: the adversary's random stream for this forgery, the same in all accomplices.
    """

    step: int
    num_rows: int
    num_corrupted: int
    honest_copies: tuple[int, ...] = ()
    rng: np.random.Generator


class Attack(ABC):
    """Turns true gradients into forged ones, inside the processes of the Byzantine workers.

    A local attack sees one gradient, that of the file which it forges. A collusive one (`collusive = True`) sees the gradients
    that the accomplices put together, and its one vector is sent for every file. Either way all accomplices send the same
    bytes for a file, or they would lose the vote.
    """

    collusive: ClassVar[bool] = False

    @abstractmethod
    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        """Returns the forged gradient, float32 [d].

        Args:
            gradients: the file's true gradient [d]; for a collusive attack those of all known files [n, d], files ascending.
            situation: the step.
        """

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


ATTACKS: Registry[type[Attack]] = Registry("attack", "byzshield.attacks", base=Attack)


def require_positive(name: str, value: float) -> None:
    """Refuses what is no positive number of float32, the type of the gradients.

    Raises:
        ParameterError: it is not positive, or not finite in float32.
    """
    if not 0 < value <= LARGEST:
        raise ParameterError(f"{name} must be positive and at most {LARGEST:.4g}; got {value}")
