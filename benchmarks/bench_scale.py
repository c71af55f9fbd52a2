"""Measures what a step of a large job costs besides its gradients, in CPU seconds, in a simulation of the server and all workers.

    python benchmarks/bench_scale.py [--load 32] [--replication 31] [--ranks 4] [--attack NAME] [--byzantine Q] [--json]

MOLS with K = l r workers and f = l^2 files, by default K = 992 and f = 1,024, and a network of 610 parameters. CPU seconds hardly
depend on what else the machine does, as long as it does not fight for the caches. The server's part is measured in steps of
its own, since to look at the clock twice a message is not free.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any

from byzshield.config import from_table
from byzshield.runtime import Builder
from byzshield.runtime.simulation import Simulation
from byzshield.wire import Message, Packet

WARM_UP = 2  # steps that do not count


def main() -> None:
    """Plays steps and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=int, default=32, metavar="L", help="files a worker, a power of a prime (default: 32)")
    parser.add_argument("--replication", type=int, default=31, metavar="R", help="workers a file, odd, less than L (default: 31)")
    parser.add_argument("--ranks", type=int, default=4, help="simulated processes, one of them the server (default: 4)")
    parser.add_argument("--attack", default="alie", metavar="NAME", help="what the Byzantine workers do (default: alie)")
    parser.add_argument("--byzantine", type=int, default=0, metavar="Q", help="how many of the first workers are (default: 0)")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    document = _measure(parser.parse_args())
    if "json" in document.pop("format"):
        print(json.dumps(document))
    else:
        for name, value in document.items():
            print(f"{name:20} {value:.6g}" if isinstance(value, float) else f"{name:20} {value}")


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    num_files, num_workers = arguments.load**2, arguments.load * arguments.replication
    tables: dict[str, Any] = {
        "cluster": {"num_workers": num_workers},
        "data": {"name": "synthetic", "image_shape": [1, 6, 10], "num_train": 2 * num_files, "batch_size": num_files},
        "model": {"name": "mlp", "hidden": []},
        "placement": {"scheme": "mols", "load": arguments.load, "replication": arguments.replication},
        "aggregation": {"rule": "median", **({"num_corrupted": 1} if arguments.byzantine else {})},
        "attack": {"name": arguments.attack, "num_byzantine": arguments.byzantine, "selection": "first"},
    }
    builder = Builder(from_table(tables), num_ranks=arguments.ranks)
    builder.set_threads()
    builder.computer._clock = time.process_time  # what it tells is CPU time then
    server = builder.server()
    simulation = Simulation(server, {rank: builder.worker(rank) for rank in range(1, arguments.ranks)})
    taken_in: list[float] = []
    receive = server.receive

    def measured(packet: Packet, now: float) -> list[Message]:
        began = time.process_time()
        outgoing = receive(packet, now)
        taken_in.append(time.process_time() - began)
        return outgoing

    steps, parts = [], []
    for number in range(2 * (WARM_UP + arguments.steps)):
        by_message = number % 2 == 1
        server.receive = measured if by_message else receive  # type: ignore[method-assign]
        taken_in.clear()
        began, gradients = time.process_time(), builder.computer.seconds
        simulation.run_round()
        whole, gradients = time.process_time() - began, builder.computer.seconds - gradients
        if by_message:
            parts.append((sum(taken_in), len(taken_in)))
        else:
            steps.append((whole - gradients, gradients))
        server.close_round(server.aggregate())
    beside, gradients = (statistics.median(column) for column in zip(*steps[WARM_UP:], strict=True))
    server_part, messages = (statistics.median(column) for column in zip(*parts[WARM_UP:], strict=True))
    return {
        "format": "json" if arguments.json else "",
        "workers": num_workers,
        "files": num_files,
        "parameters": builder.computer.num_parameters,
        "ranks": arguments.ranks,
        "byzantine": arguments.byzantine,
        "load_average": os.getloadavg()[0],
        "messages": int(messages),
        "gradients": float(gradients),
        "beside_gradients": float(beside),
        "of_it_server": float(server_part),
        "server_a_message": float(server_part / messages),
    }


if __name__ == "__main__":
    main()
