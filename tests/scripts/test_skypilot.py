"""The SkyPilot task: its fields, and what its two scripts do."""

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cluster_lab import ClusterLab, require_lab
from ssh_server import make_key

from byzshield.config import RunConfig, dump
from byzshield.runtime.metrics import read_metrics

REPOSITORY = Path(__file__).parents[2]
TASK = yaml.safe_load((REPOSITORY / "configs" / "clusters" / "skypilot.yaml").read_text())
CHECK = jsonschema.Draft202012Validator(json.loads((Path(__file__).parent / "skypilot.schema.json").read_text()))
SERVER, WORKER = "10.77.0.1", "10.77.0.2"


def test_the_task_obeys_the_schema() -> None:
    CHECK.validate(TASK)
    assert TASK["num_nodes"] >= 2
    assert TASK["resources"]["autostop"]["idle_minutes"] > 0, "a cluster that one can leave alone"
    assert (REPOSITORY / TASK["envs"]["RUN_FILE"]).exists()
    assert (REPOSITORY / TASK["envs"]["LOCK"]).exists()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("num_node", 6),
        ("num_nodes", "six"),
        ("resources.cpu", "4+"),
        ("resources.autostop.idle_minute", 15),
        ("envs.TORCH_INDEX", 1),
        ("envs.TORCH-INDEX", "x"),
        ("run", ["bash"]),
    ],
)
def test_a_misspelled_field_or_a_wrong_type_is_found(path: str, value: Any) -> None:
    task = copy.deepcopy(TASK)
    *parents, field = path.split(".")
    at = task
    for name in parents:
        at = at[name]
    at[field] = value
    with pytest.raises(jsonschema.ValidationError):
        CHECK.validate(task)


@pytest.mark.parametrize("has_python", [True, False])
def test_setup_installs_the_same_versions_on_every_node(tmp_path: Path, has_python: bool) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "install_node.sh").write_text('printf "%s\\n" "$@" >told\n')
    tools = tmp_path / "tools"
    tools.mkdir()
    python, uv = tools / "python3.12", tools / "uv"
    python.write_text(f"#!/bin/sh\nexit {0 if has_python else 127}\n")
    uv.write_text('#!/bin/sh\n[ "$2" = install ] || echo /opt/uv/python3.12\n')
    for tool in (python, uv):
        tool.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "LOCK": "some.lock",
        "TORCH_INDEX": "https://torch.example",
    }
    subprocess.run(["bash", "-c", TASK["setup"]], env=environment, cwd=tmp_path, check=True)
    chosen = "python3.12" if has_python else "/opt/uv/python3.12"
    words = ["--python", chosen, "--lock", "some.lock", "--torch-index", "https://torch.example"]
    assert (tmp_path / "told").read_text().splitlines() == words


@pytest.mark.mpi
def test_run_trains_from_the_first_node_over_the_others(
    tmp_path: Path, checkout: Path, tiny_run: Callable[..., RunConfig]
) -> None:
    require_lab()
    key = make_key(tmp_path / "sky-cluster-key")
    with ClusterLab(tmp_path / "lab", laptop="10.77.0.100/24") as lab:
        nodes = [lab.add_host(f"{address}/24", authorized=[key.with_suffix(".pub").read_text()]) for address in (SERVER, WORKER)]
        (checkout / "tiny.toml").write_text(dump(tiny_run(run={"steps": 2, "output_dir": "runs"})))
        # As SkyPilot has it in every node's ~/.ssh/config; the lab's user is root, whose home is not the lab's.
        config = f"Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile {os.devnull}\n  IdentityFile {key}\n"
        (tmp_path / "config").write_text(config)
        take = f"cp {tmp_path}/config /etc/ssh/ssh_config.d/sky.conf"

        def run(address: str, rank: int) -> subprocess.CompletedProcess[str]:
            exported = f"export SKYPILOT_NODE_RANK={rank} SKYPILOT_NODE_IPS='{SERVER}\n{WORKER}' RUN_FILE=tiny.toml"
            script = f"mkdir -p /etc/ssh/ssh_config.d && {take} && cd {checkout} && {exported}\n{TASK['run']}"
            return lab.run("ssh", "-F", str(tmp_path / "config"), address, script)

        others = run(WORKER, 1)
        assert (others.returncode, others.stdout) == (0, "")
        first = run(SERVER, 0)
        assert first.returncode == 0, first.stdout + first.stderr
        assert len(nodes[1].sshd.log.read_text().split("Accepted publickey for")) > 2, "mpirun came in over ssh"
    assert [line["step"] for line in read_metrics(checkout / "runs" / "tiny" / "metrics.jsonl")] == [1, 2]
