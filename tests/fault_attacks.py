"""Attacks from outside the package, named in run files as "fault_attacks:NotFinite"."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from byzshield.attacks import ALIE, Attack, Situation
from byzshield.wire import SERVER_RANK, Frame, Message


class NotFinite(Attack):
    """Sends a NaN in one coordinate."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        forged = gradients.copy()
        forged[3] = np.nan
        return forged


class LosesItsLeader(ALIE):
    """ALIE whose leader dies in the third step, when it has all gradients and has told nobody what it has forged."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        if situation.step == 3 and os.environ.get("OMPI_COMM_WORLD_RANK") == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forge(gradients, situation)


class Boastful(Attack):
    """Is honest, but says that it has computed for half a million years."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        return gradients

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        return [replace(frame, compute_us=2**64 - 1).to(SERVER_RANK) for frame in frames]
