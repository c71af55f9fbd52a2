"""The commands as users type them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from byzshield.cli.commands import COMMANDS
from byzshield.cli.main import main
from byzshield.config import RunConfig, dump

REPOSITORY = Path(__file__).parents[2]
Maker = Callable[..., RunConfig]


@pytest.fixture
def run_file(tiny_run: Maker, tmp_path: Path) -> str:
    path = tmp_path / "run.toml"
    path.write_text(dump(tiny_run(run={"checkpoint_every": 2}, attack={"name": "alie", "num_byzantine": 3})))
    return str(path)


def test_placement_prints_the_document_that_other_tools_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["placement", "--scheme", "ramanujan2", "--m", "5", "--replication", "5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {key: document[key] for key in ("scheme", "num_workers", "num_files", "load", "replication")} == {
        "scheme": "ramanujan2",
        "num_workers": 25,
        "num_files": 25,
        "load": 5,
        "replication": 5,
    }
    assert len(document["files_of"]) == 25
    assert all(files == sorted(files) and len(files) == 5 for files in document["files_of"])


def test_placement_prints_a_line_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["placement", "--scheme", "frc", "--workers", "6", "--replication", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[-1] == "worker 5: files 1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["placement", "--scheme", "mols", "--load", "6", "--replication", "3"], "prime"),
        (["placement", "--scheme", "molls", "--load", "5", "--replication", "3"], "did you mean 'mols'"),
        (["simulate", "nothing.toml"], "cannot be read"),
        (["simulate", "RUN", "--set", "run.sed=1"], "run.sed: no such key; did you mean 'seed'?"),
        (["simulate", "RUN", "--set", "cluster.quorum=5"], "cluster.quorum: must be at most 1; got 5"),
        (["simulate", "RUN", "--set", "cluster.num_threads=1000000"], "cluster.num_threads: must be at most 1024; got 1000000"),
        (["simulate", "RUN", "--set", "run.output_dir=/dev/null"], "run.output_dir: /dev/null/tiny cannot be written: Not a dir"),
        (["simulate", "RUN", "--set", "attack.zz=1"], "attack.zz: ALIE has no such keyword"),
        (["simulate", "RUN", "--set", "attack.z=-1"], "attack: z must be positive"),
        (["simulate", "RUN", "--set", "attack.name=alee"], "unknown attack 'alee'; did you mean 'alie'?"),
        (["simulate", "RUN", "--set", "attack.name=nowhere:Attack"], "cannot be imported"),
        (["simulate", "RUN", "--set", "attack.name=json:JSONDecoder"], "must be a subclass of Attack"),
        (["simulate", "RUN", "--set", "model.hiden=[3]"], "model.hiden: MLP has no such keyword; did you mean 'hidden'?"),
        (["simulate", "RUN", "--set", "data.batch_size=76"], "multiple of the 25 files"),
        (["simulate", "RUN", "--set", "optimizer.name=SDG"], "torch.optim has no 'SDG'"),
        (["simulate", "RUN", "--set", "optimizer.momentun=0.9"], "did you mean 'momentum'?"),
        (["simulate", "RUN", "--set", "optimizer.lr=-1"], "optimizer.lr: must be at least 0; got -1"),
        (["simulate", "RUN", "--set", "schedule.name=Step"], "torch.optim.lr_scheduler has no 'Step'"),
        (["simulate", "RUN", "--set", "attack.num_byzantine=7"], "aggregation: Median against 14 corrupted rows needs"),
        (["simulate", "RUN", "--set", "attack.num_byzantine=16"], "attack: num_byzantine must be between 0 and"),
        (
            ["simulate", "RUN", "--set", "placement.scheme=frc", "--set", "placement.replication=4"],
            "placement: frc needs a number of workers that",
        ),
        (["simulate", "RUN", "--set", "run.name=../up"], "run.name"),
        (["simulate", "RUN", "--ranks", "17"], "17 processes are more than"),
        (["simulate", "RUN", "--ranks", "1"], "one process cannot train"),
        (["simulate", "RUN", "--resume", "--overwrite"], "exclude each other"),
        (
            ["simulate", "RUN", "--set", "attack.name=broken_modules.raises:Attack"],
            "RuntimeError: no GPU here (raises.py",
        ),
        (["simulate", "no\nfile.toml"], r"no\nfile.toml cannot be read: No such file"),
        (["simulate", "\udcff.toml"], r"\udcff.toml cannot be read: No such file"),
        (["evaluate", "nowhere"], "not a run's directory"),
        (["evaluate", "a" * 300], "File name too long"),
        (["placement", "--scheme", "custom", "--assignment", "a\nb.txt"], r"a .json or .npy file; got a\nb.txt"),
        (
            ["placement", "--scheme", "own_data:failing"],
            "'own_data:failing' fails: KeyError: 'nothing' (own_data.py",
        ),
        (["data", "prepare", "own_data:failing"], "data set 'own_data:failing' fails: KeyError: 'nothing' (own_data.py, line"),
        (
            ["data", "prepare", "own_data:nothing"],
            "data set 'own_data:nothing' must be a Dataset, ArrayDataset or MapDataset of byzshield.data, or a pair",
        ),
        (
            ["simulate", "RUN", "--set", "data.name=own_data:failing"],
            "data: failing cannot be made of these values: KeyError: 'nothing' (own_data.py, line",
        ),
        (
            ["simulate", "RUN", "--set", "data.name=own_data:unlabeled"],
            "data: train_labels must be a NumPy array of int64",
        ),
        (["report", "nowhere"], "not the directory of a run"),
        (["data", "prepare", "cifar"], "unknown data set 'cifar'; did you mean 'cifar10'?"),
    ],
)
def test_a_wrong_request_gets_one_line_and_status_2(
    words: list[str], message: str, run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run_file if word == "RUN" else word for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("byzshield: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "settings",
    [
        ["attack.num_byzantine=7"],
        ["attack.num_byzantine=5", "aggregation.rule=bulyan"],
        ["attack.num_byzantine=6", "aggregation.rule=bulyan_byzshield"],
        ["attack.num_byzantine=5", 'aggregation.pre=["nnm", "bucketing"]', "aggregation.rule=trimmed_mean"],
        ["attack.num_byzantine=6", "aggregation.rule=median_of_means", "aggregation.num_buckets=7"],
        [
            "attack.num_byzantine=5",
            "aggregation.rule=bucketed",
            "aggregation.num_buckets=3",
            "aggregation.inner=multi_krum",
            "aggregation.outer=mean",
        ],
        ["aggregation.rule=smea", "aggregation.num_corrupted=13"],
        ["aggregation.rule=krum", "aggregation.num_corrupted=2000000000"],
    ],
)
def test_a_rule_that_does_not_tolerate_the_worst_case_names_the_override_that_runs_it_all_the_same(
    settings: list[str], run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", run_file, "--set", "run.steps=1"]
    for setting in settings:
        command += ["--set", setting]
    assert main(command) == 2
    message = capsys.readouterr().err
    option, override = message.split()[-2:]
    assert option == "--set"
    key, _, most = override.partition("=")
    assert key == "aggregation.num_corrupted"
    assert f"with the 25 files of this placement it tolerates {most}" in message
    assert ("to see it fail" in message) == ("attack." in settings[0])
    assert main([*command, option, f"{key}={int(most) + 1}"]) == 2  # it is the greatest
    assert main([*command, option, override]) == 0
    assert (tmp_path / "runs" / "tiny" / "summary.json").exists()


def test_simulate_evaluate_and_report_make_what_the_interface_promises(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", run_file]) == 0
    run_dir = tmp_path / "runs" / "tiny"
    assert str(run_dir) in capsys.readouterr().out
    summary = json.loads((run_dir / "summary.json").read_text())
    assert set(summary) >= {
        "steps",
        "test_accuracy",
        "test_loss",
        "step_seconds_median",
        "server_bytes_received_per_step",
        "server_bytes_sent_per_step",
        "server_peak_rss_bytes",
        "worker_peak_rss_bytes",
        "aggregation_seconds_median",
        "compute_seconds_median",
        "communication_seconds_median",
        "corrupted_files_max",
        "num_files",
        "undecided_files",
        "blamed",
        "asked",
        "status",
        "reason",
        "scheme",
        "attack",
        "aggregator",
        "exchange",
        "seed",
    }
    assert (summary["steps"], summary["corrupted_files_max"], summary["num_files"], summary["attack"]) == (4, 3, 25, "alie")

    assert main(["evaluate", str(run_dir), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["checkpoints"]
    assert [row["step"] for row in rows] == [2, 4]
    assert rows[-1]["test_accuracy"] == summary["test_accuracy"]

    page = tmp_path / "page.html"
    assert main(["report", str(run_dir), "--output", str(page)]) == 0
    out = capsys.readouterr().out
    assert "3 of 25 (12%)" in out
    assert str(page) in out
    assert "<svg" in page.read_text()
    assert "3 of 25 (12%)" in page.read_text()


@pytest.mark.parametrize("kind", ["placements", "aggregators", "pre-aggregators", "attacks", "models", "datasets"])
def test_list_shows_every_registered_name(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)[kind]
    assert main(["list", kind]) == 0
    text = capsys.readouterr().out
    assert len(rows) >= 3
    assert all(row["summary"] and row["name"] in text for row in rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_help_and_placement_import_neither_torch_nor_mpi() -> None:
    heavy = ["torch", "torchvision", "mpi4py", "matplotlib", "scipy", "numba", "pandas", "blosc"]
    code = f"import sys, byzshield.cli.main as cli; cli.main(sys.argv[1:]); print([m for m in {heavy} if m in sys.modules])"
    words = ["placement", "--scheme", "mols", "--load", "5", "--replication", "3"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_workers_import_only_what_they_use_and_no_part_of_torch_that_it_does_not_import_itself() -> None:
    code = """if True:
        import sys, torch
        from pathlib import Path
        before = set(sys.modules)
        import byzshield.cli.main, byzshield.runtime.jobs
        from byzshield.config import load
        from byzshield.runtime import Builder
        builder = Builder(load(Path(sys.argv[1])), num_ranks=3)
        assert builder.worker(1) is not None
        builder.computer(1, 0)
        new = {name for name in set(sys.modules) - before if name.split(".")[0] not in sys.stdlib_module_names}
        print(*sorted({name if name.startswith("torch") else name.split(".")[0] for name in new}))
    """
    quickstart = str(REPOSITORY / "configs" / "runs" / "quickstart.toml")
    done = subprocess.run([sys.executable, "-c", code, quickstart], capture_output=True, text=True, check=True)
    imported = {name for name in done.stdout.split() if not name.startswith("_")}  # Cython's own
    assert imported <= {"byzshield", "numpy", "blosc", "blake3", "tomli_w"}, imported


def test_without_a_terminal_progress_is_plain_lines_and_the_end_of_the_run_is_stdout(run_file: str) -> None:
    command = [sys.executable, "-m", "byzshield", "simulate", run_file, "--set", "attack.num_byzantine=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert re.fullmatch(r"step 1 of \d+, .+ left: loss .+\n(step .+\n)+", done.stderr), done.stderr
    assert "\r" not in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_the_doctor_says_what_is_there_and_whether_it_is_fit(run_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("\n\nfit\n")
    assert main(["doctor", run_file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fit"]
    assert main(["doctor", run_file, "--set", "attack.num_byzantine=7"]) == 1
    assert "not fit: rule (7 Byzantine workers corrupt at most 14 files): aggregation: " in capsys.readouterr().out
    assert main(["doctor", run_file, "--set", "cluster.device='cuda'"]) == 2
    assert "this machine has no 'cuda'" in capsys.readouterr().err


def test_names_that_are_not_utf_8_are_no_obstacle(run_file: str, tmp_path: Path) -> None:
    odd = tmp_path / "\udcff"
    command = [sys.executable, "-m", "byzshield", "data", "prepare", "own_data:small", "--root", str(odd)]
    done = subprocess.run(
        command, capture_output=True, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")}
    )
    assert done.returncode == 0, done.stderr
    assert os.fsencode(odd) in done.stdout


def test_a_folder_that_no_file_system_can_have_is_one_line(run_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", run_file, "--set", "run.name=" + "\u65e5" * 200]) == 2
    assert capsys.readouterr().err.endswith("\u65e5 cannot be written: File name too long\n")


@pytest.mark.parametrize(
    ("words", "last_line"),
    [
        ("detox --aproach=mols", "byzshield detox: error: unrecognized arguments: --aproach=mols; did you mean --approach?"),
        ("simulate run.toml --zzz 3", "byzshield simulate: error: unrecognized arguments: --zzz 3"),
    ],
)
def test_an_unknown_flag_gets_the_usage_of_its_command(words: str, last_line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"usage: byzshield {words.split()[0]} ")
    assert lines[-1] == last_line


def test_output_that_finds_no_room_is_one_line() -> None:
    command = [sys.executable, "-m", "byzshield", "placement", "--scheme", "frc", "--workers", "6", "--replication", "3"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (1, "byzshield: the output cannot be written: No space left on device\n")


def test_a_dry_run_says_where_the_run_stands_and_starts_nothing(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", run_file, "--set", f"run.output_dir={json.dumps(str(tmp_path / 'a b'))}", "--dry-run"]
    assert main(words) == 0
    facts = f"run {tmp_path}/a b/tiny\nworkers 15\ncheckpoint "
    assert capsys.readouterr().out == facts + "none\n"
    assert not (tmp_path / "a b").exists()
    for step in (8, 120):
        path = tmp_path / "a b" / "tiny" / "checkpoints" / f"step_{step}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert main(words) == 0
    assert capsys.readouterr().out == facts + "step 120\n"
    assert main(["simulate", *words[1:]]) == 0
    assert capsys.readouterr().out == facts + "step 120\n"


@pytest.mark.parametrize(
    "impossible",
    [
        "placement.replication=4",
        "attack.num_byzantine=9",
        "attack.name=alie2",
        "aggregation.rule=medean",
        "audit.rollback=true",
        "data.name=synthetik",
        "data.noize=0.1",
        "data.batch_size=1000000",
        "evaluation.metrics=['acuracy']",
        "loss.name=crossentropy",
        "model.hiden=3",
        "optimizer.name=Adm",
        "optimizer.momentun=0.9",
        "optimizer.groups=[{match=['nobody*']}]",
        "run.start_step=2",
        "schedule.name=StepLR",
    ],
)
def test_a_dry_run_refuses_in_the_same_line_as_the_job(
    impossible: str, run_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for words in (["simulate"], ["simulate", "--dry-run"], ["train", "--dry-run"]):
        assert main([*words, run_file, "--set", impossible]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        told.append(captured.err.splitlines()[-1])
    assert told[0] == told[1] == told[2]


def test_a_dry_run_knows_what_cannot_be_resumed_or_replaced(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", run_file, "--set", f"run.output_dir={json.dumps(str(tmp_path))}", "--set", "run.steps=1"]
    assert main(words) == 0
    assert main([*words, "--resume", "--dry-run"]) == 0
    assert main([*words, "--resume", "--dry-run", "--set", "run.seed=77"]) == 2
    assert "belongs to a run with another configuration: run.seed is" in capsys.readouterr().err
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").touch()
    assert main([*words, "--overwrite", "--dry-run", "--set", "run.name=foreign"]) == 2
    assert "is not a run's directory, so it is not overwritten" in capsys.readouterr().err


def test_an_exit_file_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nothing.toml", "--exit-file", "/dev/null/exit"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "byzshield: /dev/null/exit cannot be written: Not a directory"


def test_evaluate_leaves_out_what_is_damaged_and_says_so(
    run_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", run_file]) == 0
    run_dir = tmp_path / "runs" / "tiny"
    newest = run_dir / "checkpoints" / "step_4.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    capsys.readouterr()
    assert main(["evaluate", str(run_dir)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("step 2: ")
    assert captured.out.count("\n") == 1
    assert f"left out: {newest} is damaged or cut short" in captured.err
    (run_dir / "checkpoints" / "step_2.pt").unlink()
    assert main(["evaluate", str(run_dir)]) == 2
    assert capsys.readouterr().err.startswith(f"byzshield: {newest} is damaged or cut short")
