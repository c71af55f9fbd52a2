"""Times the aggregation rules beside numpy, torch and, where it is installed, ByzFL, in one run.

    python benchmarks/bench_aggregation.py --rows 25 --columns 11173962 [--json] [--device cuda]
    python benchmarks/bench_aggregation.py --preset smoke

Every figure is the least of a few repetitions. A target is a ratio of two figures of the same run; it is judged only when both
are there. ByzFL is timed on fewer columns (its MeaMed needs minutes otherwise) and scaled up; the table says so.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from byzshield.aggregation import AGGREGATORS, NNM, primitives
from byzshield.aggregation.kernels.threads import available_threads
from byzshield.aggregation.mda import least_diameter_subset

PEER_COLUMNS = 500_000

FIRST_CALL = (
    "import time; start = time.perf_counter(); import numpy as np; from byzshield.aggregation import Median;"
    "Median(num_corrupted=1)(np.ones((5, 100), np.float32)); print(time.perf_counter() - start)"
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=25)
    parser.add_argument("--columns", type=int, default=11_173_962)
    parser.add_argument("--corrupted", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="where the rules run: cpu (numpy arrays) or a torch device")
    parser.add_argument("--preset", choices=["smoke"], help="smoke: a small matrix, to see that everything runs")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    arguments = parser.parse_args()
    if arguments.preset == "smoke":
        arguments.columns, arguments.repeat = 20_000, 1
    return arguments


def least(function: Callable[[], Any], repeat: int, *, device: str = "cpu", warm: bool = True) -> float:
    """The least wall time of `repeat` calls, after one that warms up, in seconds."""
    times = []
    for _ in range(repeat + warm):
        start = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[-repeat:])


def reference_figures(x: np.ndarray, repeat: int) -> dict[str, float]:
    """numpy and torch on the same rows; the slow ones once."""
    tensor = torch.from_numpy(x)
    return {
        "numpy row sum": least(lambda: x.sum(axis=0), repeat),
        "numpy gram x @ x.T": least(lambda: x @ x.T, repeat),
        "np.sort(axis=0)": least(lambda: np.sort(x, axis=0), 1, warm=False),
        "np.median": least(lambda: np.median(x, axis=0), 1, warm=False),
        "torch.median": least(lambda: torch.median(tensor, dim=0), 1, warm=False),
    }


def our_figures(x: np.ndarray, arguments: argparse.Namespace) -> dict[str, float]:
    """Every rule, and the parts that targets speak of."""
    corrupted, repeat, device = arguments.corrupted, arguments.repeat, arguments.device
    rows = x if device == "cpu" else torch.from_numpy(x).to(device)
    figures = {}
    for name, rule in AGGREGATORS.items():
        if name == "smea":
            continue  # the number of subsets, not of columns, decides
        instance = rule(num_corrupted=corrupted)
        figures[name] = least(lambda instance=instance: instance(rows), repeat, device=device)
    figures["nnm"] = least(lambda: NNM(num_corrupted=corrupted)(rows), 1, device=device)
    picked = list(range(len(x) - 2 * corrupted))
    figures["bulyan's second stage"] = least(
        lambda: primitives.nearest_mean(rows, len(picked) - 2 * corrupted, index=picked), repeat, device=device
    )
    table = primitives.squared_distances(rows)
    figures["mda beyond the distances"] = least(lambda: least_diameter_subset(table, len(x) - corrupted), repeat)
    return figures


def peer_figures(x: np.ndarray, corrupted: int) -> dict[str, float]:
    """ByzFL on the first columns, scaled to all."""
    if importlib.util.find_spec("byzfl") is None:
        return {}
    import byzfl

    part = torch.from_numpy(np.ascontiguousarray(x[:, :PEER_COLUMNS]))
    scale = x.shape[1] / part.shape[1]
    kept = len(x) - 2 * corrupted
    second = part[:kept]
    return {
        "ByzFL median": scale * least(lambda: byzfl.Median()(part), 1),
        "ByzFL trimmed mean": scale * least(lambda: byzfl.TrMean(corrupted)(part), 1),
        "ByzFL MeaMed": scale * least(lambda: byzfl.Meamed(corrupted)(part), 1),
        # ByzFL has no Bulyan; MeaMed of theta rows, of which it must keep more than half, is the same work.
        "ByzFL MeaMed of theta rows": scale * least(lambda: byzfl.Meamed((kept - 1) // 2)(second), 1),
        "ByzFL Krum": scale * least(lambda: byzfl.Krum(corrupted)(part), 1),
        "ByzFL multi-Krum": scale * least(lambda: byzfl.MultiKrum(corrupted)(part), 1),
        "ByzFL geometric median": scale * least(lambda: byzfl.GeometricMedian()(part), 1),
    }


def judge(figures: dict[str, float]) -> list[dict[str, Any]]:
    """The targets whose figures are there: the quotient of two figures against a bound."""
    fastest = min(figures["np.median"], figures["torch.median"])
    targets = []

    def at_least(what: str, slow: float | None, fast: float, bound: float) -> None:
        if slow is not None:
            targets.append({"target": what, "ratio": slow / fast, "bound": f">= {bound:g}", "met": slow / fast >= bound})

    def at_most(what: str, ours: float, unit: float, bound: float) -> None:
        targets.append({"target": what, "ratio": ours / unit, "bound": f"<= {bound:g}", "met": ours / unit <= bound})

    for name in ("median", "trimmed_mean"):
        at_least(f"{name} faster than the faster of np.median and torch.median", fastest, figures[name], 12)
        at_least(f"{name} faster than np.sort(axis=0)", figures["np.sort(axis=0)"], figures[name], 3)
        at_most(f"{name} in row sums", figures[name], figures["numpy row sum"], 3)
    at_least("meamed faster than ByzFL's", figures.get("ByzFL MeaMed"), figures["meamed"], 10)
    at_least(
        "Bulyan's second stage faster than by ByzFL's MeaMed",
        figures.get("ByzFL MeaMed of theta rows"),
        figures["bulyan's second stage"],
        10,
    )
    for name in ("krum", "multi_krum", "bulyan", "mda"):
        at_most(f"{name} in Gram products", figures[name], figures["numpy gram x @ x.T"], 2)
    at_most("mda beyond the distances in units of 50 ms", figures["mda beyond the distances"], 0.05, 1)
    at_most("first call in a fresh process in units of 3 s", figures["first call in a fresh process"], 3.0, 1)
    return targets


def first_call() -> float:
    done = subprocess.run([sys.executable, "-c", FIRST_CALL], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    arguments = parse()
    x = np.random.default_rng(0).standard_normal((arguments.rows, arguments.columns), dtype=np.float32)
    load_before = os.getloadavg()[0]
    figures = reference_figures(x, arguments.repeat)
    figures |= our_figures(x, arguments)
    figures |= peer_figures(x, arguments.corrupted)
    figures["first call in a fresh process"] = first_call()
    document = {
        "rows": arguments.rows,
        "columns": arguments.columns,
        "corrupted": arguments.corrupted,
        "device": arguments.device,
        "threads": available_threads(),
        "load_average": [load_before, os.getloadavg()[0]],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, numpy {np.__version__}, torch {torch.__version__}",
        "seconds": figures,
        "targets": judge(figures),
    }
    if arguments.json:
        print(json.dumps(document, indent=1))
        return
    head = f"{document['rows']} x {document['columns']} float32, f = {document['corrupted']}, {document['device']}"
    print(f"{head}, {document['threads']} threads, load {load_before:.1f}, {document['date']}\n")
    for name, seconds in figures.items():
        print(f"{name:34s} {seconds:9.4f} s")
    print()
    for target in document["targets"]:
        print(f"{target['target']:66s} {target['ratio']:8.2f}  {target['bound']:6s} {'met' if target['met'] else 'MISSED'}")


if __name__ == "__main__":
    main()
