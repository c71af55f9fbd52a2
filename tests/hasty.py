"""The program, whose server waits less long for the goodbyes of its ranks: python -m mpi4py -m hasty train RUN.toml."""

from byzshield.cli.main import entry_point
from byzshield.runtime import jobs

GOODBYE_SECONDS = 8.0  # enough for honest ranks, which have nothing else to do, on a machine that has much to do

if __name__ == "__main__":
    jobs.GOODBYE_SECONDS = GOODBYE_SECONDS
    entry_point()
