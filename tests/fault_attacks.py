"""An attack from outside the package, named in run files as "fault_attacks:NotFinite"."""

from typing import Any

import numpy as np

from byzshield.attacks import Attack, Situation


class NotFinite(Attack):
    """Sends a NaN in one coordinate."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        forged = gradients.copy()
        forged[3] = np.nan
        return forged
