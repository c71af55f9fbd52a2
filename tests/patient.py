"""The program, whose server gives nobody up before `round_timeout`: python -m mpi4py -m patient train RUN.toml."""

from byzshield.cli.main import entry_point
from byzshield.training.pace import Pace


def _ceiling(pace: Pace, worker: int, prompt: float) -> float:
    return pace.ceiling


if __name__ == "__main__":
    Pace.patience = _ceiling
    entry_point()
