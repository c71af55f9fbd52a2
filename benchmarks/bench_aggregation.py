"""Times the aggregation rules beside numpy, torch and, where it is installed, ByzFL, in one run.

    python benchmarks/bench_aggregation.py --rows 25 --columns 11173962 [--json] [--device cuda]
    python benchmarks/bench_aggregation.py --preset smoke

Every figure is the least of a few rounds in which the functions take turns. A target is a ratio of two figures of the same run;
it is judged only when both are there. ByzFL is timed on fewer columns (its MeaMed needs minutes otherwise) and scaled up.
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
from functools import partial
from typing import Any

import numpy as np
import torch

from byzshield.aggregation import AGGREGATORS, NNM, primitives
from byzshield.aggregation.rules.mda import least_diameter_subset
from byzshield.cores import available_cores

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
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--device", default="cpu", help="where the rules run: cpu (numpy arrays) or a torch device")
    parser.add_argument("--preset", choices=["smoke"], help="smoke: a small matrix, to see that everything runs")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    arguments = parser.parse_args()
    if arguments.preset == "smoke":
        arguments.columns, arguments.repeat = 20_000, 1
    return arguments


def least(functions: dict[str, Callable[[], Any]], rounds: int, *, device: str = "cpu", warm: bool = True) -> dict[str, float]:
    """The least wall time of each function over some rounds, in each of which every one is called once, in seconds.

    Taking turns lets a lull or a burst on a shared machine fall on all of them alike.
    """
    best = dict.fromkeys(functions, float("inf"))
    for turn in range(rounds + warm):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn >= warm:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def measure(x: np.ndarray, arguments: argparse.Namespace) -> dict[str, float]:
    """Every rule, the parts that targets speak of, and the measures of numpy and torch on the same rows."""
    corrupted, device = arguments.corrupted, arguments.device
    rows = x if device == "cpu" else torch.from_numpy(x).to(device)
    tensor = torch.from_numpy(x)
    picked = list(range(len(x) - 2 * corrupted))
    table = primitives.squared_distances(rows)
    # The number of subsets, not of columns, decides about SMEA.
    rules = {name: rule(num_corrupted=corrupted) for name, rule in AGGREGATORS.items() if name != "smea"}
    calls: dict[str, Callable[[], Any]] = {name: partial(rule, rows) for name, rule in rules.items()}
    targets = {name: calls.pop(name) for name in ("median", "trimmed_mean", "meamed", "krum", "multi_krum", "bulyan", "mda")}
    units = {"numpy row sum": partial(x.sum, axis=0), "numpy gram x @ x.T": lambda: x @ x.T}
    parts = {
        "bulyan's second stage": lambda: primitives.nearest_mean(rows, len(picked) - 2 * corrupted, index=picked),
        "mda beyond the distances": lambda: least_diameter_subset(table, len(x) - corrupted),
    }
    slow = {
        "np.sort(axis=0)": lambda: np.sort(x, axis=0),
        "np.median": lambda: np.median(x, axis=0),
        "torch.median": lambda: torch.median(tensor, dim=0),
    }
    figures = least(slow, 2, warm=False)
    figures |= least(units | targets | parts, arguments.repeat, device=device)
    figures |= least(calls | {"nnm": partial(NNM(num_corrupted=corrupted), rows)}, 2, device=device)
    return figures


def peer_figures(x: np.ndarray, corrupted: int) -> dict[str, float]:
    """ByzFL on the first columns, scaled to all."""
    if importlib.util.find_spec("byzfl") is None:
        return {}
    import byzfl

    part = torch.from_numpy(np.ascontiguousarray(x[:, :PEER_COLUMNS]))
    scale = x.shape[1] / part.shape[1]
    kept = len(x) - 2 * corrupted
    calls = {
        "ByzFL median": partial(byzfl.Median(), part),
        "ByzFL trimmed mean": partial(byzfl.TrMean(corrupted), part),
        "ByzFL MeaMed": partial(byzfl.Meamed(corrupted), part),
        # ByzFL has no Bulyan; MeaMed of theta rows, of which it must keep more than half, is the same work.
        "ByzFL MeaMed of theta rows": partial(byzfl.Meamed((kept - 1) // 2), part[:kept]),
        "ByzFL Krum": partial(byzfl.Krum(corrupted), part),
        "ByzFL multi-Krum": partial(byzfl.MultiKrum(corrupted), part),
        "ByzFL geometric median": partial(byzfl.GeometricMedian(), part),
    }
    return {name: scale * seconds for name, seconds in least(calls, 2).items()}


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
    figures = measure(x, arguments) | peer_figures(x, arguments.corrupted)
    figures["first call in a fresh process"] = first_call()
    document = {
        "rows": arguments.rows,
        "columns": arguments.columns,
        "corrupted": arguments.corrupted,
        "device": arguments.device,
        "threads": available_cores(),
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
