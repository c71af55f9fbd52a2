"""Measures what audits cost and what they save, beside redundancy, no defense, and torch's DistributedDataParallel over gloo.

    python benchmarks/bench_audit.py --preset smoke|full [--json] [--convictions N]

The same network, data, batch and initial weights everywhere, for K = 15 workers (smoke: 2). Four parts, all but the third real
mpirun jobs: seconds a step without liars, each job as often as `repeats` says, by turns; under liars who reverse all their
gradients; the accuracy under each of three attacks, of which the worst counts, in the simulator, whose weights are those of the
jobs; and N steps with audits and no liar, in which nobody may be convicted. All of a preset runs on one machine; nothing else
should.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_round

from byzshield.config import RunConfig, dump, from_table, load
from byzshield.errors import DivergedError
from byzshield.guarantee import escape_probability
from byzshield.runtime.metrics import read_metrics
from byzshield.training.lengths import GROWN, OUTLYING

RATE = 0.1
SCALE = 100.0  # of reversed gradients
CHANCE = 0.1  # the accuracy of a guess
ONCE = "reversed once"
UNSEEN = OUTLYING  # times the gradient: what is longer is checked for certain
UNSEEN_OF_MOST = GROWN * (1 + OUTLYING) / 2  # the mean, if most lie: half of these as the median, the others beyond it
DDP = "DDP"
Tables = dict[str, dict[str, Any]]
ROLLBACK = {"rollback": True, "clean_steps": 20}
BASELINE, CYCLIC, MOLS = {"scheme": "baseline"}, {"scheme": "cyclic", "replication": 2}, {"scheme": "mols", "replication": 3}
MEAN, MEDIAN = {"rule": "mean"}, {"rule": "median"}
BORNE = f"r = 1, rate {RATE:g}, median"  # which bears what slips through
DEFENSES: dict[str, Tables] = {
    "r = 1": {"placement": BASELINE, "aggregation": MEAN},
    f"r = 1, rate {RATE:g}": {"placement": BASELINE, "aggregation": MEAN, "audit": {"rate": RATE, **ROLLBACK}},
    "r = 1, idle": {"placement": BASELINE, "aggregation": MEAN, "audit": {"rate": "idle", **ROLLBACK}},
    BORNE: {"placement": BASELINE, "aggregation": MEDIAN, "audit": {"rate": RATE, **ROLLBACK}},
    "r = 2, arbitration": {"placement": CYCLIC, "aggregation": MEAN, "audit": {"arbitrate": True, **ROLLBACK}},
    "r = 3, vote": {"placement": MOLS, "aggregation": MEDIAN},
}
TIMED: Tables = {"model": {"name": "lenet"}}
TRAINED: Tables = {"model": {"name": "mlp"}}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "num_workers": 2,
        "defenses": ["r = 1", f"r = 1, rate {RATE:g}"],
        "simulated": ["r = 1", f"r = 1, rate {RATE:g}"],
        "ranks": 2,
        "attacked_ranks": 2,
        "repeats": 1,
        "timed_steps": 5,
        "steps": 12,
        "liars": [],
        "simulated_liars": [1],
        "convictions": 0,
    },
    "full": {
        "num_workers": 15,
        "defenses": [name for name in DEFENSES if name != BORNE],
        "simulated": list(DEFENSES),
        "ranks": 16,
        "attacked_ranks": 3,
        "repeats": 1,
        "timed_steps": 40,
        "steps": 40,
        "liars": [3, 7, 14],
        "simulated_liars": [7, 14],
        "convictions": 10_000,
    },
}


@dataclass(frozen=True)
class Bench:
    """One preset's jobs.

    Args:
        chosen: of PRESETS.
        folder: for what the jobs write.
    """

    chosen: dict[str, Any]
    folder: Path

    @property
    def num_workers(self) -> int:
        """K."""
        return int(self.chosen["num_workers"])

    def config(
        self, defense: str, num_byzantine: int, attack: dict[str, Any] | None = None, *, tables: Tables = TRAINED
    ) -> RunConfig:
        """The run file of a job."""
        steps = self.chosen["steps"]
        base: Tables = {
            "run": {
                "name": "bench",
                "steps": steps,
                "checkpoint_every": 10,
                "output_dir": str(self.folder),
                "module_dir": str(Path(__file__).parent),
            },
            "cluster": {"num_workers": self.num_workers},
            "data": {"name": "mnist5k", "batch_size": 300},
            "attack": {**(attack or attacks(steps)["reversed"]), "num_byzantine": num_byzantine, "selection": "first"},
            "optimizer": {"name": "SGD", "lr": 0.1, "momentum": 0.9},
        }
        merged: Tables = {}
        for table in (base, DEFENSES[defense], tables):
            for section, values in table.items():
                merged[section] = {**merged.get(section, {}), **values}
        # Where more files can be wrong than a median bears, the run would be refused; it is to be seen.
        files = 25 if merged["placement"] == MOLS else self.num_workers
        merged["aggregation"]["num_corrupted"] = min((files - 1) // 2, num_byzantine * files // self.num_workers)
        return from_table(merged)

    def job(self, config: RunConfig, ranks: int) -> dict[str, Any]:
        """Trains by mpirun; a model that diverged has no accuracy."""
        run_file, results = self.folder / "run.toml", self.folder / config.run.name
        run_file.write_text(dump(config))
        shutil.rmtree(results, ignore_errors=True)
        began = time.time()
        try:
            bench_round._run(ranks, ["byzshield", "train", str(run_file)], None)
        except SystemExit:
            if "diverged" not in _summary(results).get("reason", ""):
                raise
        summary, lines = _summary(results), read_metrics(results / "metrics.jsonl")
        return {
            "seconds": statistics.median(line["seconds"] for line in lines[bench_round.WARM_UP :]) if lines[3:] else None,
            "job_seconds": time.time() - began,
            "accuracy": None if summary["status"] == "failed" else summary["test_accuracy"],
            **{
                key: summary[key]
                for key in ("undecided_files", "audited_files", "arbitrations", "rolled_back_steps")
                if key in summary
            },
            "expelled": sorted(map(int, summary.get("expelled", {}))),
        }

    def ddp(self, config: RunConfig, liars: list[int]) -> dict[int, dict[str, Any]]:
        """Trains by DistributedDataParallel, once for each number of liars, in one job."""
        run_file, output = self.folder / "ddp.toml", self.folder / f"ddp-{uuid.uuid4().hex}"
        run_file.write_text(dump(config))
        script = str(Path(__file__).resolve())
        words = [script, "--ddp", str(run_file), "--output", str(output), "--liars", *map(str, liars)]
        bench_round._run(self.num_workers, words, None)
        found: dict[str, dict[str, Any]] = json.loads(output.with_suffix(".json").read_text())
        return {int(count): row for count, row in found.items()}

    def undisturbed(self) -> list[dict[str, Any]]:
        """Seconds a step without liars."""
        chosen = self.chosen
        tables = {**TIMED, "run": {"steps": chosen["timed_steps"]}}
        ways: list[tuple[str, list[float]]] = [(name, []) for name in [*chosen["defenses"], DDP]]
        rows: dict[str, dict[str, Any]] = {}
        for _ in range(chosen["repeats"]):
            for name, seconds in ways:
                if name == DDP:
                    row = self.ddp(self.config("r = 1", 0, tables=tables), [0])[0]
                else:
                    row = self.job(self.config(name, 0, tables=tables), chosen["ranks"])
                rows[name] = row
                seconds.append(row["seconds"])
                _tell(f"{name}, no liars: {seconds[-1]:.3f} s a step")
        plain = min(ways[0][1])
        return [
            {"defense": name, **rows[name], "seconds": min(seconds), "ratio": min(seconds) / plain, "all_seconds": seconds}
            for name, seconds in ways
        ]

    def attacked(self) -> list[dict[str, Any]]:
        """Seconds a step, and accuracy, while some workers reverse all their gradients."""
        rows, ranks = [], self.chosen["attacked_ranks"]
        for name in self.chosen["defenses"]:
            for count in [0, *self.chosen["liars"]] if self.chosen["liars"] else []:
                rows.append({"defense": name, "num_byzantine": count, **self.job(self.config(name, count), ranks)})
                _tell(f"{name}, {count} of {self.num_workers} reverse all gradients: accuracy {rows[-1]['accuracy']}")
        liars = self.chosen["liars"]
        found = self.ddp(self.config("r = 1", 0), [0, *liars]) if liars else {}
        return rows + [{"defense": DDP, "num_byzantine": count, **row} for count, row in found.items()]

    def worst(self, attacked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Accuracy under each attack, and the worst; chance is 0.1, and so is what a model that diverged counts.

        Args:
            attacked: what jobs have shown already, under gradients that are all reversed.
        """
        known = {(row["defense"], row["num_byzantine"]): row for row in attacked}
        rows = []
        for name in self.chosen["simulated"]:
            for count in self.chosen["simulated_liars"]:
                found = {}
                for label, attack in attacks(self.chosen["steps"]).items():
                    if label == "reversed" and (row := known.get((name, count))) is not None:
                        found[label] = {"accuracy": row["accuracy"] or CHANCE, "expelled": len(row["expelled"])}
                    else:
                        found[label] = self._simulated(name, count, attack, escapes=label == ONCE)
                worst = min(found, key=lambda label: found[label]["accuracy"])
                row = {"defense": name, "num_byzantine": count, "attack": worst, "accuracy": found[worst]["accuracy"]}
                rows.append({**row, "by_attack": found})
                _tell(f"{name}, {count} of {self.num_workers}, in the simulator: {row['accuracy']:.3f} ({worst})")
        return rows

    def _simulated(self, defense: str, num_byzantine: int, attack: dict[str, Any], *, escapes: bool) -> dict[str, Any]:
        """The accuracy, if liars who lie once `escape` that of a run without draws, which has the same weights as if none was."""
        from byzshield.runtime import simulate

        tables, rate = TRAINED, DEFENSES[defense].get("audit", {}).get("rate")
        found: dict[str, Any] = {"accuracy": CHANCE}
        if escapes and rate is not None:
            tables = {**TRAINED, "audit": {"rate": 0.0, "rollback": False}}
            found["escapes"] = None if rate == "idle" else escape_probability(rate, num_byzantine)
            if rate != "idle":
                attack = {**attack, "scale": UNSEEN if 2 * num_byzantine <= self.num_workers else UNSEEN_OF_MOST}
        with contextlib.suppress(DivergedError):
            _, summary = simulate(self.config(defense, num_byzantine, attack, tables=tables), overwrite=True)
            found |= {"accuracy": summary["test_accuracy"], "expelled": len(summary.get("expelled", {}))}
        return found

    def convictions(self, steps: int) -> dict[str, Any]:
        """Trains honest workers with audits; nobody may be convicted."""
        tables: Tables = {
            "run": {"steps": steps, "checkpoint_every": 0},
            "cluster": {"num_workers": 5},
            "data": {"batch_size": 10},
            "model": {"name": "mlp", "hidden": [8]},
            "optimizer": {"lr": 0.01, "momentum": 0.0},
            "audit": {"rollback": False},
        }
        row = self.job(self.config(f"r = 1, rate {RATE:g}", 0, tables=tables), 2)
        _tell(f"{steps} steps without liars: {row['audited_files']} files checked, {len(row['expelled'])} workers expelled")
        return {"steps": steps, **row}


def attacks(steps: int) -> dict[str, dict[str, Any]]:
    """What liars do: reverse all gradients, shift all of them by as much as is hidden among the others, or reverse some once."""
    return {
        "reversed": {"name": "reversed_gradient", "scale": SCALE},
        "alie": {"name": "alie", "z": 1.5},
        ONCE: {"name": "lie_once:LieOnce", "at": steps * 3 // 4, "scale": SCALE},
    }


def _summary(results: Path) -> dict[str, Any]:
    path = results / "summary.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _train_with_ddp(config: RunConfig, output: Path, liars: list[int]) -> None:
    """One rank: computes one file a step, as worker `rank` does with r = 1, and lets DistributedDataParallel average."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch
    from mpi4py import MPI
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    from byzshield.runtime import Builder

    rank, ranks = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    builder = Builder(config, num_ranks=ranks + 1)
    builder.set_threads()
    distributed.init_process_group("gloo", init_method=f"file://{output}", rank=rank, world_size=ranks)
    found: dict[int, dict[str, Any]] = {}
    for count in liars:
        flat = builder.model()
        for parameter in flat.module.parameters():
            parameter.grad = None  # DistributedDataParallel has buffers of its own
        model = DistributedDataParallel(flat.module)
        optimizer = torch.optim.SGD(
            flat.module.parameters(), lr=config.optimizer.lr, momentum=config.optimizer.options["momentum"]
        )
        seconds = []
        for step in range(1, builder.steps + 1):
            began = time.perf_counter()
            rows = builder.sampler.rows(step, rank)
            batch = builder.data.train_batch(rows, seed=config.run.seed, step=step, file=rank, augment=False)
            optimizer.zero_grad()
            loss = builder.objective.loss_of(model, batch)
            (loss * -SCALE if rank < count else loss).backward()
            optimizer.step()
            seconds.append(time.perf_counter() - began)
        if rank == 0:
            accuracy = builder.evaluate(flat)["accuracy"] if flat.parameters.isfinite().all() else None
            found[count] = {"seconds": statistics.median(seconds[bench_round.WARM_UP :]), "accuracy": accuracy}
        distributed.barrier()
    if rank == 0:
        output.with_suffix(".json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _measure(preset: str, convictions: int | None) -> dict[str, Any]:
    chosen = PRESETS[preset]
    document: dict[str, Any] = {"preset": preset, **chosen}
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen, Path(folder))
        document |= {
            "undisturbed": bench.undisturbed(),
            "attacked": (attacked := bench.attacked()),
            "worst": bench.worst(attacked),
        }
        if steps := chosen["convictions"] if convictions is None else convictions:
            document["without_liars"] = bench.convictions(steps)
    machine = {"cores": os.cpu_count(), "load_at_the_end": os.getloadavg()[0]}
    return {**document, "machine": machine, "seconds_in_all": time.time() - began}


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _tables(document: dict[str, Any]) -> str:
    def number(value: float | None, digits: int) -> str:
        return "diverged" if value is None else f"{value:.{digits}f}"

    def attacked(found: dict[str, Any]) -> str:
        chance = found.get("escapes")
        return number(found["accuracy"], 3) + ("" if chance is None else f" (with probability {chance:.2f}, or as if honest)")

    parts = [["| no liars | s a step | of r = 1 | files checked |", "|---|---|---|---|"]]
    for row in document["undisturbed"]:
        words = [row["defense"], number(row["seconds"], 3), f"{row['ratio']:.2f}", str(row.get("audited_files", "-"))]
        parts[-1].append(f"| {' | '.join(words)} |")
    parts.append(
        [
            "| liars who reverse all gradients | q | s a step | accuracy | expelled | steps done again |",
            "|---|---|---|---|---|---|",
        ]
    )
    for row in document["attacked"]:
        words = [row["defense"], str(row["num_byzantine"]), number(row["seconds"], 3), number(row["accuracy"], 3)]
        words += [str(len(row.get("expelled", []))), str(row.get("rolled_back_steps", "-"))]
        parts[-1].append(f"| {' | '.join(words)} |")
    names = list(document["worst"][0]["by_attack"]) if document["worst"] else []
    parts.append([f"| accuracy | q | {' | '.join(names)} | worst |", "|---" * (3 + len(names)) + "|"])
    for row in document["worst"]:
        words = [row["defense"], str(row["num_byzantine"]), *(attacked(row["by_attack"][name]) for name in names)]
        parts[-1].append(f"| {' | '.join(words)} | {number(row['accuracy'], 3)} |")
    if honest := document.get("without_liars"):
        parts.append(
            [f"{honest['steps']} steps without liars: {honest['audited_files']} checks, {len(honest['expelled'])} convicted"]
        )
    return "\n\n".join("\n".join(part) for part in parts)


def main() -> None:
    """Runs a preset and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--convictions", type=int, metavar="N", help="steps without liars; 0 for none; by default the preset's")
    parser.add_argument("--ddp", type=Path, metavar="RUN.toml", help=argparse.SUPPRESS)  # one rank of a job
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--liars", type=int, nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.getLogger("byzshield").setLevel(logging.ERROR)
    if arguments.ddp is not None:
        _train_with_ddp(load(arguments.ddp), arguments.output, arguments.liars)
        return
    document = _measure(arguments.preset, arguments.convictions)
    print(json.dumps(document) if arguments.json else _tables(document))


if __name__ == "__main__":
    main()
