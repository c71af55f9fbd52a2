"""One rank of a job that also writes down what was predicted of its memory, and what it came to take."""

import json
import sys
from pathlib import Path

from byzshield.cli.main import main
from byzshield.runtime import Builder, builder
from byzshield.runtime.memory import attack_bytes, bytes_needed
from byzshield.runtime.summary import peak_rss_bytes


def resident_bytes() -> int:
    """What this process holds now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def run(folder: Path, words: list[str]) -> int:
    """Runs a command; writes FOLDER/RANK.json."""
    told: dict[str, int] = {}

    def note(run_of: Builder, rank: int) -> None:
        predicted = bytes_needed(run_of, rank)
        if run_of.config.attack.num_byzantine and rank == run_of.rank_of[run_of.selection.byzantine_at(1)[0]]:
            predicted += attack_bytes(run_of)
        told.update(rank=rank, before=resident_bytes(), predicted=predicted)

    builder.require_memory = note
    status = main(words)
    told["taken"] = peak_rss_bytes() - told["before"]
    (folder / f"{told['rank']}.json").write_text(json.dumps(told))
    return status


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
