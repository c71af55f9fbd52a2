"""Attacks from outside the package, named in run files as "fault_attacks:NotFinite"."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from byzshield.attacks import Attack, Situation
from byzshield.wire import SERVER_RANK, Frame, Message


class NotFinite(Attack):
    """Sends a NaN in one coordinate."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        forged = gradients.copy()
        forged[3] = np.nan
        return forged


class Boastful(Attack):
    """Is honest, but says that it has computed for half a million years."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        return gradients

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        return [replace(frame, compute_us=2**64 - 1).to(SERVER_RANK) for frame in frames]
