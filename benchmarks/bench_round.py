"""Measures a step of real mpirun jobs beside the same gradients computed by the same ranks with nothing exchanged.

    python benchmarks/bench_round.py --preset smoke|lenet|resnet18 [--winners-mib MIB] [--json]

K = 15 workers, MOLS l = 5, r = 3, on 16, 4 and 3 ranks; digest and full exchange, with and without an attack (ALIE, q = 3, worst
set). The bound computes only the gradients that decide all files, 50 a step, one rank's as the other's without waiting for each
other; it is measured before each job, since machines change their speed. All of a preset runs one after the other;
nothing else should.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byzshield.config import RunConfig, dump, from_table, load
from byzshield.runtime.metrics import read_metrics

REPOSITORY = Path(__file__).parent.parent
MPIRUN = Path(sys.executable).parent / "mpirun"
MARK = "BENCH_ROUND_JOB"
WARM_UP = 2  # steps that do not count
SAMPLE_SECONDS = 0.2
MIB = 1 << 20
LENET = {"model": {"name": "lenet"}, "data": {"name": "mnist5k", "batch_size": 250}}
RESNET = {"model": {"name": "resnet18"}, "data": {"name": "synthetic", "image_shape": [3, 32, 32], "batch_size": 100}}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"tables": LENET, "steps": 12, "ranks": [4], "exchanges": ["digest"], "attacked": [0]},
    "lenet": {"tables": LENET, "steps": 40, "ranks": [16, 4, 3], "exchanges": ["digest", "full"], "attacked": [0, 3]},
    "resnet18": {"tables": RESNET, "steps": 6, "ranks": [16, 3], "exchanges": ["digest"], "attacked": [0, 3]},
}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the ranks of a job have used, read from /proc while it ran.

    Args:
        cpu_seconds: by rank, from the step WARM_UP to the last one seen.
        steps: steps in between.
    """

    cpu_seconds: dict[int, float]
    steps: int


def main() -> None:
    """Runs a preset and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke")
    parser.add_argument("--winners-mib", type=int, metavar="MIB", help="as in a run file; by default all winners are held")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--bound", type=Path, metavar="RUN.toml", help=argparse.SUPPRESS)  # one rank of a job that only computes
    arguments = parser.parse_args()
    if arguments.bound is not None:
        _compute_only(load(arguments.bound))
        return
    document = _measure(arguments.preset, arguments.winners_mib)
    print(json.dumps(document) if arguments.json else _table(document))


def _measure(preset: str, winners_mib: int | None) -> dict[str, Any]:
    chosen = {**PRESETS[preset], "winners_mib": winners_mib or "auto"}
    interpreter = _interpreter_bytes()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for ranks in chosen["ranks"]:
            for exchange in chosen["exchanges"]:
                for num_byzantine in chosen["attacked"]:
                    config = _config(chosen, folder, num_byzantine=num_byzantine, exchange=exchange)
                    bound = _bound(_config(chosen, folder, num_byzantine=0, exchange="digest"), ranks, Path(folder))
                    row = {"ranks": ranks, "exchange": exchange, "num_byzantine": num_byzantine, "bound_seconds": bound}
                    rows.append(row | _job(config, ranks, Path(folder), bound, interpreter))
                    print(
                        f"{ranks} ranks, {exchange}, q = {num_byzantine}: {rows[-1]['seconds']:.3f} s",
                        file=sys.stderr,
                        flush=True,
                    )
    machine = {"cores": os.cpu_count(), "load_at_the_end": os.getloadavg()[0]}
    return {"preset": preset, "warm_up": WARM_UP, "interpreter_bytes": interpreter, "machine": machine, "rows": rows}


def _config(chosen: dict[str, Any], folder: str, *, num_byzantine: int, exchange: str) -> RunConfig:
    run = {"name": "bench", "steps": chosen["steps"], "output_dir": folder}
    placement = {"scheme": "mols", "load": 5, "replication": 3}
    attack = {"name": "alie", "num_byzantine": num_byzantine}
    aggregation = {"rule": "median", "winners_mib": chosen["winners_mib"]}
    tables = {"run": run, "placement": placement, "attack": attack, "aggregation": aggregation}
    # What "auto" comes to where all ranks share a host, without the steps in which it finds that out.
    return from_table({**tables, **chosen["tables"], "cluster": {"exchange": exchange, "compression": "off"}})


def _job(config: RunConfig, ranks: int, folder: Path, bound: float, interpreter: int) -> dict[str, Any]:
    run_file, results = folder / "run.toml", folder / config.run.name
    run_file.write_text(dump(config))
    shutil.rmtree(results, ignore_errors=True)  # or the lines of the job before would count
    usage = _run(ranks, ["byzshield", "train", str(run_file)], results / "metrics.jsonl")
    lines = read_metrics(results / "metrics.jsonl")[WARM_UP:]
    summary = json.loads((results / "summary.json").read_text())
    medians = {key: statistics.median(line[key] for line in lines) for key in lines[0] if _is_number(lines[0][key])}
    workers = [seconds for rank, seconds in usage.cpu_seconds.items() if rank]
    return {
        "seconds": medians["seconds"],
        "ratio": medians["seconds"] / bound,
        "breakdown": {key: statistics.median(line["breakdown"][key] for line in lines) for key in lines[0]["breakdown"]},
        "gradients": medians.get("gradients"),
        "server_cpu_seconds": usage.cpu_seconds.get(0, 0.0) / max(1, usage.steps),
        "workers_cpu_seconds": sum(workers) / max(1, usage.steps),
        "bytes_received": medians["bytes_received"],
        "bytes_sent": medians["bytes_sent"],
        "server_mib": (summary["server_peak_rss_bytes"] - interpreter) // MIB,
        "worker_mib": (summary["worker_peak_rss_bytes"] - interpreter) // MIB,
    }


def _bound(config: RunConfig, ranks: int, folder: Path) -> float:
    """Seconds a step for the gradients that decide all files, computed by the same ranks."""
    run_file = folder / "bound.toml"
    run_file.write_text(dump(config))
    output = folder / "bound"
    output.mkdir(exist_ok=True)
    for old in output.iterdir():
        old.unlink()
    _run(ranks, [str(Path(__file__).resolve()), "--bound", str(run_file)], None)
    spans = [json.loads(path.read_text()) for path in output.iterdir()]
    return (max(span["end"] for span in spans) - min(span["begin"] for span in spans)) / (config.run.steps - WARM_UP)


def _compute_only(config: RunConfig) -> None:
    """One rank: computes its share of the gradients of each step, and notes when it began and ended."""
    from mpi4py import MPI

    from byzshield.runtime import Builder
    from byzshield.runtime.allocator import keep_freed_memory
    from byzshield.training.turns import postponed

    rank, ranks = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    if rank:
        builder = Builder(config, num_ranks=ranks)
        builder.set_threads()
        keep_freed_memory()
        late, here = postponed(builder.assignment), [worker for worker, host in enumerate(builder.rank_of) if host == rank]
        held = {(worker, int(file)) for worker in here for file in builder.assignment.files_of[worker]}
        files = sorted({file for _, file in held - late})
        computer = builder.computer
        for step in range(1, WARM_UP + 1):
            for file in files:
                computer(step, file)
    _meet(MPI.COMM_WORLD)
    if rank:
        begin = time.time()
        for step in range(WARM_UP + 1, config.run.steps + 1):
            for file in files:
                computer(step, file)
        span = {"begin": begin, "end": time.time()}
        (Path(config.run.output_dir) / "bound" / str(rank)).write_text(json.dumps(span))
    _meet(MPI.COMM_WORLD)


def _meet(comm: Any) -> None:
    """A barrier whose waiting leaves the cores to others."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(1e-3)


def _run(ranks: int, words: list[str], metrics: Path | None) -> Usage:
    """Runs a job, and looks at what its ranks use meanwhile."""
    mark = uuid.uuid4().hex
    python = [sys.executable, "-m", "mpi4py", *(["-m"] if words[0] == "byzshield" else []), *words]
    environment = {**_environment(), MARK: mark}
    command = [str(MPIRUN), "-n", str(ranks), *python]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    samples: list[tuple[int, dict[int, float]]] = []
    over = threading.Event()

    def look() -> None:
        pids: dict[int, int] = {}
        while metrics is not None and not over.wait(SAMPLE_SECONDS):
            steps = len(read_metrics(metrics)) if metrics.exists() else 0
            if steps < WARM_UP:
                continue
            pids = pids or _ranks_of(mark)
            samples.append((steps, {rank: _cpu_seconds(pid) for rank, pid in pids.items()}))

    watcher = threading.Thread(target=look)
    watcher.start()
    _, errors = process.communicate()
    over.set()
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"the job failed: {errors.decode(errors='replace')}")
    whole = [(steps, seconds) for steps, seconds in samples if len(seconds) == ranks and min(seconds.values()) > 0]
    if len(whole) < 2:
        return Usage(cpu_seconds={}, steps=0)
    (first, before), (last, after) = whole[0], whole[-1]
    return Usage(cpu_seconds={rank: after[rank] - before[rank] for rank in after}, steps=last - first)


def _environment() -> dict[str, str]:
    """The environment that scripts/lib/mpi_env.sh makes."""
    shell = f". '{REPOSITORY / 'scripts' / 'lib' / 'mpi_env.sh'}' && env -0"
    output = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout
    return dict(entry.split("=", 1) for entry in output.split("\0") if "=" in entry)


def _ranks_of(mark: str) -> dict[int, int]:
    """The process of each rank of the job with this mark."""
    found: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "environ").read_bytes().decode(errors="replace").split("\0") if folder.name.isdigit() else []
        except OSError:
            continue
        variables = dict(word.split("=", 1) for word in words if "=" in word)
        if variables.get(MARK) == mark and "PMIX_RANK" in variables:
            found[int(variables["PMIX_RANK"])] = int(folder.name)
    return found


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _interpreter_bytes() -> int:
    """The memory of an interpreter that has imported torch and mpi4py."""
    program = "import resource, torch, mpi4py; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _table(document: dict[str, Any]) -> str:
    columns = {
        "ranks": lambda row: row["ranks"],
        "exchange": lambda row: row["exchange"],
        "q": lambda row: row["num_byzantine"],
        "s a step": lambda row: f"{row['seconds']:.3f}",
        "bound": lambda row: f"{row['bound_seconds']:.3f}",
        "ratio": lambda row: f"{row['ratio']:.2f}",
        "gradients": lambda row: row["gradients"],
        "CPU-s: server": lambda row: f"{row['server_cpu_seconds']:.3f}",
        "workers": lambda row: f"{row['workers_cpu_seconds']:.3f}",
        "MB received": lambda row: f"{row['bytes_received'] / 1e6:.1f}",
        "MiB: server": lambda row: row["server_mib"],
        "worker": lambda row: row["worker_mib"],
    }
    cells = [list(columns), *([str(value(row)) for value in columns.values()] for row in document["rows"])]
    parts = list(document["rows"][0]["breakdown"])
    cells[0] += parts
    for words, row in zip(cells[1:], document["rows"], strict=True):
        words += [f"{row['breakdown'][part]:.3f}" for part in parts]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


if __name__ == "__main__":
    main()
