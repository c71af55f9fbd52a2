"""Measures the exact worst-case search.

    python benchmarks/bench_distortion.py --preset smoke|paper|beyond [--json]

smoke runs in seconds. paper computes every row of the published tables and compares with a search that enumerates all sets
twice in Python, on a case that it can finish; for one that it cannot, its time is extrapolated by C(K, q). beyond goes to sizes
for which no exact values are published, and to intervals up to K = 100. No result is read from the disk cache.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from math import comb
from typing import Any, TypeVar

from byzshield.cores import available_cores
from byzshield.distortion.table import rows
from byzshield.placement import Assignment, cyclic, mols, ramanujan2

T = TypeVar("T")
Case = tuple[str, Assignment, Iterable[int], float | None]

SMOKE: list[Case] = [("mols l=5 r=3", mols(load=5, replication=3), range(2, 8), None)]
PAPER: list[Case] = [
    *SMOKE,
    ("mols l=7 r=3", mols(load=7, replication=3), range(2, 11), None),
    ("ramanujan2 m=5 s=5", ramanujan2(m=5, replication=5), range(3, 13), None),
    ("mols l=7 r=5", mols(load=7, replication=5), range(3, 14), None),
]
BEYOND: list[Case] = [
    ("mols l=8 r=5", mols(load=8, replication=5), range(3, 16), 60.0),
    ("ramanujan2 m=7 s=7", ramanujan2(m=7, replication=7), range(4, 15), 60.0),
    ("mols l=8 r=7", mols(load=8, replication=7), range(4, 15), 60.0),
    ("mols l=9 r=7", mols(load=9, replication=7), (7, 9, 11, 13), 30.0),
    ("mols l=11 r=7", mols(load=11, replication=7), (7, 10, 13, 16), 30.0),
    ("mols l=11 r=9", mols(load=11, replication=9), (9, 12, 15, 20), 30.0),
    ("cyclic K=100 r=5", cyclic(num_workers=100, replication=5), (5, 10, 20, 30), 30.0),
]


def main() -> None:
    """Runs a preset and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["smoke", "paper", "beyond"], default="smoke")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()

    document: dict[str, Any] = {"preset": arguments.preset, "machine": _machine()}
    _, document["first_call_seconds"] = _timed(_load_compiled_code)
    cases = {"smoke": SMOKE, "paper": PAPER, "beyond": BEYOND}[arguments.preset]
    document["tables"] = [_table(*case, say=not arguments.json) for case in cases]
    document["seconds"] = round(sum(table["seconds"] for table in document["tables"]), 3)
    document["second_process_seconds"] = _second_process()
    if arguments.preset == "paper":
        document["python"] = _compare_with_python(document["tables"])
    print(json.dumps(document) if arguments.json else _summary(document))


def _table(name: str, assignment: Assignment, numbers: Iterable[int], time_limit: float | None, *, say: bool) -> dict[str, Any]:
    """Computes the rows of one placement."""
    found = []
    if say:
        print(f"{name}: K = {assignment.num_workers}, f = {assignment.num_files}")
    for row in rows(assignment, numbers, time_limit=time_limit, use_cache=False):
        found.append(row.as_json() | {"seconds": round(row.seconds, 4)})
        if say:
            upper = "" if row.result.exact else f" .. {row.result.upper_bound}"
            print(f"  q = {row.result.num_byzantine:2d}  c_max = {row.result.c_max}{upper}  {row.seconds:.3f} s", flush=True)
    return {
        "placement": name,
        "num_workers": assignment.num_workers,
        "num_files": assignment.num_files,
        "seconds": round(sum(row["seconds"] for row in found), 3),
        "rows": found,
    }


def _load_compiled_code() -> None:
    """Imports numba and runs every kernel once, from the compile cache if there is one."""
    for _ in rows(ramanujan2(m=5, replication=5), [7], use_cache=False):
        pass
    for _ in rows(cyclic(num_workers=30, replication=5), [7], use_cache=False):
        pass


def _second_process() -> float:
    """Seconds that a new process needs for its first compiled search, start of Python included."""
    program = (
        "from byzshield.distortion import worst_case; from byzshield.placement import ramanujan2;"
        "worst_case(ramanujan2(m=5, replication=5), num_byzantine=7, use_cache=False)"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return round(time.perf_counter() - start, 3)


def _compare_with_python(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Times the double enumeration on K = 15, q = 7 and extrapolates it to K = 35, q = 13."""
    assignment = mols(load=5, replication=3)
    c_max, seconds = _timed(lambda: enumerate_twice(assignment, 7))
    ours = {(table["placement"], row["q"]): row for table in tables for row in table["rows"]}
    small, large = ours["mols l=5 r=3", 7], ours["mols l=7 r=5", 13]
    if c_max != small["c_max"]:
        raise AssertionError(f"the enumeration finds {c_max}, the search {small['c_max']}")
    # A set of 13 workers of load 7 costs more than one of 7 workers of load 5; that is left out, in favor of Python.
    extrapolated = seconds * comb(35, 13) / comb(15, 7)
    return {
        "small_seconds": round(seconds, 3),
        "small_ratio": round(seconds / small["seconds"], 1),
        "large_seconds_extrapolated": round(extrapolated),
        "large_ratio": round(extrapolated / large["seconds"]),
    }


def enumerate_twice(assignment: Assignment, num_byzantine: int) -> int:
    """c_max by counting over all sets once for the maximum and once more for the sets that reach it."""
    files_of = assignment.files_of.tolist()
    best = max(_corrupted(files_of, assignment, workers) for workers in _sets(assignment, num_byzantine))
    reached = [workers for workers in _sets(assignment, num_byzantine) if _corrupted(files_of, assignment, workers) == best]
    if not reached:
        raise AssertionError("no set reaches the maximum")
    return best


def _sets(assignment: Assignment, num_byzantine: int) -> Iterable[tuple[int, ...]]:
    return itertools.combinations(range(assignment.num_workers), num_byzantine)


def _corrupted(files_of: list[list[int]], assignment: Assignment, workers: tuple[int, ...]) -> int:
    held = [0] * assignment.num_files
    for worker in workers:
        for file in files_of[worker]:
            held[file] += 1
    return sum(copies >= assignment.majority for copies in held)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, round(time.perf_counter() - start, 3)


def _machine() -> dict[str, Any]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cores": available_cores(),
        "load_average": load,
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


def _summary(document: dict[str, Any]) -> str:
    lines = [
        f"all rows: {document['seconds']:.2f} s",
        f"before them, to load or compile the kernels: {document['first_call_seconds']:.2f} s",
        f"a new process to its first compiled result: {document['second_process_seconds']:.2f} s",
        f"machine: {document['machine']}",
    ]
    if "python" in document:
        python = document["python"]
        lines.append(
            f"enumerating twice in Python: {python['small_seconds']} s for K = 15, q = 7 ({python['small_ratio']} times as "
            f"long); extrapolated to K = 35, q = 13: {python['large_seconds_extrapolated']} s "
            f"({python['large_ratio']} times as long)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
